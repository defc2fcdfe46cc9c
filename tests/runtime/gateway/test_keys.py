"""Session keys: one form for each, what they say, and what is refused."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.gateway import keys
from runtime.gateway.frames import GatewayError
from runtime.gateway.keys import Kind, Route


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        (None, "agent:main:main"),
        ("", "agent:main:main"),
        ("  ", "agent:main:main"),
        ("main", "agent:main:main"),
        (" MAIN ", "agent:main:main"),
        ("foo", "agent:main:foo"),
        ("Foo Bar", "agent:main:foo bar"),
        ("AGENT:Main:Foo", "agent:main:foo"),
        ("agent:MAIN:MAIN", "agent:main:main"),
        ("agent:nosuch:main", "agent:nosuch:main"),
        ("agentx", "agent:main:agentx"),
        ("a:b:c", "agent:main:a:b:c"),
        ("cron:X", "agent:main:cron:x"),
        ("GLOBAL", "global"),
        ("unknown", "unknown"),
        ("agent:main:global", "agent:main:global"),
        ("agent:agent:main:x", "agent:agent:main:x"),
        ("agent:main:matrix:channel:!Room:Host", "agent:main:matrix:channel:!Room:Host"),
        ("matrix:group:AbC:Thread:TiD", "agent:main:matrix:group:AbC:thread:TiD"),
        ("agent:main:Signal:group:AbC=", "agent:main:signal:group:AbC="),
        ("Signal:Group:AbC:thread:TiD", "agent:main:signal:group:AbC:thread:tid"),
        ("agent:main:telegram:group:-100ABC:topic:7", "agent:main:telegram:group:-100abc:topic:7"),
        ("agent:main:slack:channel:C1:thread:T1", "agent:main:slack:channel:c1:thread:t1"),
        ("İx", "agent:main:i̇x"),
    ],
)
def test_a_key_has_one_form(given_: str | None, normal: str) -> None:
    assert keys.normalise(given_) == normal


@pytest.mark.parametrize(
    "given_",
    ["agent:", "agent:main", "agent:main:", "agent::x", "agent:main::x", "AGENT: :x", "agent:main: ", ":x", ":"],
)
def test_a_key_of_an_agent_without_a_rest_is_refused(given_: str) -> None:
    with pytest.raises(GatewayError, match="malformed session key") as caught:
        keys.normalise(given_)
    assert caught.value.code == "INVALID_REQUEST"
    assert f'"{given_.strip()}"' in caught.value.message


@pytest.mark.parametrize("given_", ["a\0b", "\ud800", "agent:main:a\0", "agent:m\0:x", "matrix:group:\udfff"])
def test_a_key_that_no_store_could_keep_is_refused(given_: str) -> None:
    with pytest.raises(GatewayError, match="malformed session key") as caught:
        keys.normalise(given_)
    assert caught.value.code == "INVALID_REQUEST"


def test_a_bare_name_belongs_to_the_agent_that_is_given() -> None:
    assert keys.normalise("foo", "Ops") == "agent:ops:foo"
    assert keys.normalise(None, "ops") == "agent:ops:main"
    assert keys.normalise("agent:other:foo", "ops") == "agent:other:foo"


def test_a_long_key_is_not_sent_back_whole() -> None:
    with pytest.raises(GatewayError) as caught:
        keys.normalise("agent::" + "x" * 10_000)
    assert len(caught.value.message) < 200


PIECES = st.text(alphabet="aB:ſİΣς main signal:group matrix:channel:thread agent", max_size=30) | st.text(max_size=20)


@given(PIECES, st.sampled_from(["main", "ops"]))
def test_normalising_twice_changes_nothing(given_: str, agent: str) -> None:
    try:
        normal = keys.normalise(given_, agent)
    except GatewayError:
        assume(False)
    assert keys.normalise(normal, "other") == normal
    assert normal in keys.SENTINELS or keys.agent_of(normal)
    assert isinstance(keys.kind_of(normal), Kind)
    assert keys.kind_of(normal).value in ("global", "unknown") or keys.rest_of(normal)


MADE: list[tuple[str, str, Kind, str | None]] = [
    (keys.main("main"), "agent:main:main", Kind.MAIN, "direct"),
    (keys.direct("A", "P"), "agent:a:direct:p", Kind.DIRECT, "direct"),
    (keys.direct("a", "P", "Slack"), "agent:a:slack:direct:p", Kind.DIRECT, "direct"),
    (keys.direct("a", "p", "slack", "work"), "agent:a:slack:work:direct:p", Kind.DIRECT, "direct"),
    (keys.group("a", "telegram", "-1"), "agent:a:telegram:group:-1", Kind.GROUP, "group"),
    (keys.group("a", "slack", "C1", "channel"), "agent:a:slack:channel:c1", Kind.CHANNEL, "channel"),
    (keys.group("a", "matrix", "!R:H", "channel"), "agent:a:matrix:channel:!R:H", Kind.CHANNEL, "channel"),
    (keys.thread("agent:a:slack:channel:c", "T"), "agent:a:slack:channel:c:thread:t", Kind.THREAD, "channel"),
    (keys.topic("agent:a:telegram:group:-1", "7"), "agent:a:telegram:group:-1:topic:7", Kind.GROUP, "group"),
    (keys.cron("a", "job"), "agent:a:cron:job", Kind.CRON, None),
    (keys.cron("a", "job", "r"), "agent:a:cron:job:run:r", Kind.CRON, None),
    (keys.hook("a", "h"), "agent:a:hook:h", Kind.HOOK, None),
    (keys.node("a", "n"), "agent:a:node-n", Kind.NODE, None),
    (keys.subagent("a", "s"), "agent:a:subagent:s", Kind.SUBAGENT, None),
    (keys.subagent("a", "t", "agent:a:subagent:s"), "agent:a:subagent:s:subagent:t", Kind.SUBAGENT, None),
    (keys.subagent("a", "t", "agent:a:main"), "agent:a:subagent:t", Kind.SUBAGENT, None),
    ("agent:a:acp:x", "agent:a:acp:x", Kind.ACP, None),
    (keys.dashboard("a", "u"), "agent:a:dashboard:u", Kind.DASHBOARD, None),
    (keys.dashboard("a", "u", incognito=True), "agent:a:dashboard:incognito-u", Kind.DASHBOARD, None),
    ("agent:a:explicit:i", "agent:a:explicit:i", Kind.EXPLICIT, None),
    ("agent:a:openai:u", "agent:a:openai:u", Kind.OPENAI, None),
    ("agent:a:openai-user:me", "agent:a:openai-user:me", Kind.OPENAI, None),
    ("agent:a:openresponses:u", "agent:a:openresponses:u", Kind.OPENRESPONSES, None),
    ("global", "global", Kind.GLOBAL, None),
    ("unknown", "unknown", Kind.UNKNOWN, None),
    ("agent:a:my notes", "agent:a:my notes", Kind.CUSTOM, None),
]


@pytest.mark.parametrize(("made", "key", "kind", "chat"), MADE)
def test_a_key_that_is_made_says_what_it_is(made: str, key: str, kind: Kind, chat: str | None) -> None:
    assert made == key
    assert keys.kind_of(key) is kind
    assert keys.chat_type(key) == chat
    assert keys.normalise(key, "other") == key
    assert keys.agent_of(key) == ("" if key in keys.SENTINELS else key.split(":")[1])


@pytest.mark.parametrize("kind", list(Kind))
def test_there_is_an_example_of_each_kind(kind: Kind) -> None:
    assert any(found is kind for _, _, found, _ in MADE)


def test_a_route_is_read_from_the_key() -> None:
    assert keys.route_of("agent:a:slack:work:direct:p:1:thread:t") == Route("direct", "p:1", "slack", "work", "t")
    assert keys.route_of("agent:a:dm:p") == Route("direct", "p")
    assert keys.route_of("agent:a:slack:group:") is None
    assert keys.route_of("agent:a:agent:b:direct:p") is None
    assert keys.route_of("agent:a:main") is None


def test_a_thread_can_be_taken_off() -> None:
    assert keys.base_of("agent:a:slack:channel:c:thread:t") == "agent:a:slack:channel:c"
    assert keys.base_of("agent:a:main") == "agent:a:main"
    assert keys.thread_of("agent:a:x:thread:") is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("agent:a:dashboard:incognito-1", True),
        ("agent:a:dashboard:1", False),
        ("agent:a:main:incognito-1", False),
        ("global", False),
    ],
)
def test_what_is_not_kept_is_known_by_its_key(key: str, expected: bool) -> None:
    assert keys.is_incognito(key) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("subagent:x", True),
        ("Cron:x", True),
        ("agent:main:acp:x", True),
        ("agent:main:mine", False),
        ("mine", False),
        ("my:cron:x", False),
    ],
)
def test_some_names_are_not_for_callers_to_choose(name: str, expected: bool) -> None:
    assert keys.reserved(name) is expected


IDS = st.text(
    st.characters(codec="utf-8", exclude_characters=":", exclude_categories=["Z", "C"]), min_size=1, max_size=12
)


@given(IDS, st.sampled_from([keys.hook, keys.dashboard, keys.cron, keys.node]))
def test_what_is_made_is_normal(name: str, make: Callable[[str, str], str]) -> None:
    key = make("main", name)
    assert keys.normalise(key) == key
    assert keys.agent_of(key) == "main"
