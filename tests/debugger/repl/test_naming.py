"""Sessions by name: the shortest that fits no other, and every name that a person may type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.repl.naming import MOST, Names

MAIN = "1f2e3d4c-1111-2222-3333-444455556666"
OTHER = "1f2e3d4c-9999-2222-3333-444455556666"
LONG = "0a0a0a0a-1111-2222-3333-444455556666"
NAMES = Names.of(
    {
        MAIN: "agent:main:main",
        OTHER: "agent:coder:main",
        "s-3": "agent:main:dev",
        LONG: f"agent:main:debug-{LONG}",
        "77777777-1111-2222-3333-444455556666": "",
        "s-9": "",
    }
)


@pytest.mark.parametrize(
    ("session", "short"),
    [
        (MAIN, "main:main"),
        (OTHER, "coder:main"),
        ("s-3", "dev"),
        (LONG, "debug-0a0a0a0a"),
        ("77777777-1111-2222-3333-444455556666", "77777777"),
        ("s-9", "s-9"),
        ("nobody", "nobody"),
    ],
)
def test_a_session_is_named_by_as_little_of_its_key_as_fits_no_other(session: str, short: str) -> None:
    assert NAMES.short(session) == short


def test_the_same_first_digits_of_two_ids_are_not_cut() -> None:
    ids = (MAIN, OTHER)
    assert [Names.of(dict.fromkeys(ids, "")).short(one) for one in ids] == [*ids]


@pytest.mark.parametrize(
    ("name", "sessions"),
    [
        (MAIN, (MAIN,)),
        ("agent:main:main", (MAIN,)),
        ("main:main", (MAIN,)),
        ("coder:main", (OTHER,)),
        ("coder:ma", (OTHER,)),
        ("main", (MAIN, OTHER)),
        ("dev", ("s-3",)),
        ("de", ("s-3", LONG)),
        ("debug-0a0a0a0a", (LONG,)),
        ("7777", ("77777777-1111-2222-3333-444455556666",)),
        ("agent:coder", (OTHER,)),
        ("ghost", ()),
        ("", ()),
    ],
)
def test_ids_keys_their_ends_and_beginnings_name_a_session(name: str, sessions: tuple[str, ...]) -> None:
    assert NAMES.meant(name) == sessions


@given(
    st.dictionaries(
        st.one_of(st.uuids().map(str), st.text("abs-1", min_size=1, max_size=4)),
        st.one_of(
            st.just(""),
            st.lists(st.sampled_from(["agent", "main", "dev", "d", MAIN]), min_size=1, max_size=3).map(":".join),
        ),
        max_size=6,
    )
)
def test_a_short_name_that_is_shown_names_its_session_and_no_other(keys: dict[str, str]) -> None:
    names = Names.of({one: key for one, key in keys.items() if not key or [*keys.values()].count(key) == 1})
    for session, short in names.shorts.items():
        assert names.meant(short) == (session,)


def test_ids_in_a_sentence_of_the_daemon_become_short_names() -> None:
    said = NAMES.said(f"session {LONG} is running: pause it first; not {MAIN[:-1]}0")
    assert said == f"session debug-0a0a0a0a is running: pause it first; not {MAIN[:-1]}0"


def test_what_is_learnt_later_adds_and_forgets_no_key() -> None:
    names = Names().learn({"a": ""}).learn({"a": "agent:main:x"})
    assert names.learn({"a": ""}) is names
    assert names.short("a") == "x"
    assert len(Names().learn({str(n): "" for n in range(MOST + 5)}).keys) == MOST


def test_every_name_can_be_offered() -> None:
    assert {"dev", "agent:main:dev", "s-3", "debug-0a0a0a0a", MAIN} <= set(NAMES)
