"""Where the key comes from, and what settings may say."""

from typing import Any

import pytest

from defender.intel import Options, options_of
from runtime.errors import SettingsError


def test_without_a_key_there_are_no_look_ups() -> None:
    assert options_of({}) is None
    assert options_of({"VT_API_KEY": "  "}, {}) is None


def test_the_key_comes_from_our_variable_then_theirs_then_the_settings() -> None:
    given = {"apiKey": "settings"}
    both = {"TWINSTEP_VIRUSTOTAL_KEY": "ours", "VT_API_KEY": "theirs"}
    found = [options_of(environ, given) for environ in (both, {"VT_API_KEY": "theirs"}, {})]
    assert [one.key if one else "" for one in found] == ["ours", "theirs", "settings"]


def test_they_can_be_turned_off() -> None:
    assert options_of({"VT_API_KEY": "k"}, {"enabled": False}) is None


def test_the_usual_values_are_those_of_a_public_key() -> None:
    assert options_of({"VT_API_KEY": "k"}) == Options(key="k", per_minute=4, per_day=500, seconds=1.5)


def test_numbers_are_taken() -> None:
    given = {"perMinute": 100, "perDay": 9000, "deadlineMs": 1000, "concurrent": 2, "entries": 7, "identify": "hash"}
    found = options_of({"VT_API_KEY": "k"}, given)
    assert found == Options(
        key="k", per_minute=100, per_day=9000, seconds=1.0, concurrent=2, entries=7, identify="hash"
    )


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([], ""),
        ({"perMinut": 4}, ".perMinut"),
        ({"enabled": "yes"}, ".enabled"),
        ({"perMinute": 0}, ".perMinute"),
        ({"perMinute": True}, ".perMinute"),
        ({"deadlineMs": 1501}, ".deadlineMs"),
        ({"concurrent": 1000}, ".concurrent"),
        ({"identify": "url"}, ".identify"),
        ({"baseUrl": "http://vt.example.com/api/v3"}, ".baseUrl"),
        ({"baseUrl": "ftp://127.0.0.1/"}, ".baseUrl"),
        ({"baseUrl": "https://ann:pw@vt.example.com/"}, ".baseUrl"),
        ({"baseUrl": 7}, ".baseUrl"),
        ({"baseUrl": "https://[/"}, ".baseUrl"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(given: Any, where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        options_of({"VT_API_KEY": "k"}, given)
    assert str(caught.value).startswith(f"defender.intel.virustotal{where}: ")


@pytest.mark.parametrize("key", ["two words", "ümlaut", "line\nbreak\n2", "x" * 600])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    for environ, given in (({"VT_API_KEY": key}, None), ({}, {"apiKey": key})):
        with pytest.raises(SettingsError) as caught:
            options_of(environ, given)
        assert key not in str(caught.value)


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"apiKey: must be text"):
        options_of({}, {"apiKey": 7})


def test_the_key_is_not_shown() -> None:
    assert "k3y" not in repr(options_of({"VT_API_KEY": "k3y"}))
