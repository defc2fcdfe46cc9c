"""A secret shows itself nowhere but where it is asked for."""

import copy
import pickle

import pytest

from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret

KEY = "AIza-very-secret"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda s: f"{s:>40}", lambda s: f"{[s]}"])
def test_no_way_of_writing_shows_the_secret(show) -> None:  # type: ignore[no-untyped-def]
    assert KEY not in show(Secret(KEY))


def test_what_holds_a_secret_does_not_show_it() -> None:
    endpoint = Endpoint(
        key=Secret(KEY), headers=(("authorization", f"Bearer {KEY}"),), proxy=Secret(f"http://u:{KEY}@h")
    )
    assert KEY not in repr(endpoint)


def test_a_secret_is_revealed_to_who_asks_and_compared_by_value() -> None:
    assert Secret(KEY).reveal() == KEY
    assert Secret(KEY) == Secret(KEY) != Secret("other")
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY)
    assert not Secret("")


@pytest.mark.parametrize("write", [pickle.dumps, copy.deepcopy])
def test_a_secret_is_not_written_down(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="not written down"):
        write(Secret(KEY))
