"""Which commands a node may be asked for: the tables, and that nothing gets around them."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import nodepolicy as policy
from runtime.gateway.nodepolicy import Rules, allowed, declared, fulfilled, platform_of, rules_of, verdict

EVERY = sorted(
    set().union(*policy.DEFAULTS.values())
    | policy.HOST
    | policy.DANGEROUS
    | policy.TALK
    | policy.WATCH
    | policy.PRIVATE
    | {"made.up"}
)
commands = st.sets(st.sampled_from(EVERY))
machines = st.sampled_from(
    [
        ("linux", "Linux"),
        ("macos", "Mac"),
        ("macos 15.1", "Mac"),
        ("windows", "Windows"),
        ("ios", "iPhone"),
        ("iPadOS 18.2", "iPad"),
        ("android 14 (SDK 34)", "Android"),
        ("watchos 11.0", "Apple Watch"),
        ("plan9", "Glenda"),
        (None, None),
    ]
)


@pytest.mark.parametrize(
    ("platform", "family", "expected"),
    [
        ("linux", "Linux", "linux"),
        ("linux", None, "unknown"),
        ("linux", "iPhone", "unknown"),
        ("Linux ", " LINUX", "linux"),
        ("macos 15.1", "Mac", "macos"),
        ("macos 15.1", None, "unknown"),
        ("ios", None, "ios"),
        ("iOS 18.1.2", "iPhone", "ios"),
        ("iOS 18.1.2", "Mac", "unknown"),
        ("android 14 (sdk 34)", "Android", "android"),
        ("android", None, "android"),
        ("watchos 11", "Apple Watch", "watchos"),
        ("darwin", "Mac", "unknown"),
        (None, "My iPad", "ios"),
        (None, "Mäc", "macos"),
        (None, None, "unknown"),
    ],
)
def test_a_platform_that_contradicts_its_family_is_unknown(
    platform: str | None, family: str | None, expected: str
) -> None:
    assert platform_of(platform, family) == expected


@given(machines, commands, commands, commands, commands)
def test_what_a_node_may_be_asked_for_was_approved_or_is_its_platforms_own(
    machine: tuple[str | None, str | None], said: set[str], approved: set[str], allow: set[str], deny: set[str]
) -> None:
    rules = Rules(frozenset(allow), frozenset(deny))
    found = allowed(rules, *machine, (), said, approved)
    assert not found & policy.PRIVATE
    assert not found & rules.deny
    assert not (found & policy.DANGEROUS) - rules.allow
    assert not (found & policy.HOST) - approved - rules.allow
    if platform_of(*machine) not in policy.DESKTOP:
        assert not (found & policy.HOST) - rules.allow
    may_be_approved = allowed(rules, *machine, (), said, None)
    assert found - policy.DANGEROUS <= may_be_approved


@given(commands, commands)
def test_a_verdict_lets_pass_only_what_is_allowed_and_declared(allow: set[str], said: set[str]) -> None:
    for command in EVERY:
        assert (verdict(command, allow, said) is None) is (command in allow and command in said)


def test_talking_is_for_nodes_that_can_and_the_watch_for_phones_that_have_one() -> None:
    assert allowed(Rules(), "android", "Android", ("Talk",), (), ()) >= policy.TALK
    assert allowed(Rules(), "plan9", None, (), ("talk.ptt.start",), ()) >= policy.TALK
    assert not policy.TALK & allowed(Rules(), "android", "Android", (), (), ())
    assert allowed(Rules(), "ios", "iPhone", (), (), ()) >= policy.WATCH
    assert not policy.WATCH & allowed(Rules(), "ios", "iPad", (), (), ())


def test_declared_commands_are_cleaned_and_keep_their_order() -> None:
    said = (" b ", "a", "b", "", "worker.launch.v1", "c")
    assert declared(said, {"a", "b", "worker.launch.v1"}) == ("b", "a")


def test_a_capability_goes_with_the_last_of_its_commands() -> None:
    caps = ("camera", "system", "location")
    assert fulfilled(caps, {"camera.list"}, {"camera.snap", "location.get"}) == ("camera", "system")
    assert fulfilled(caps, (), {"camera.snap"}) == ("system", "location")
    assert fulfilled(caps, (), ()) == caps


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ((), ("operator.pairing",)),
        (("system.notify",), ("operator.pairing", "operator.write")),
        (("system.notify", "system.which"), ("operator.pairing", "operator.admin")),
        (("fs.listDir",), ("operator.pairing", "operator.admin")),
    ],
)
def test_approving_needs_as_much_as_the_commands_can_do(said: tuple[str, ...], scopes: tuple[str, ...]) -> None:
    assert policy.approve_scopes(said) == scopes


@pytest.mark.parametrize(
    "resolved",
    [None, {}, {"gateway": None}, {"gateway": {"nodes": {"commands": {"allow": "camera.snap", "deny": [1]}}}}],
)
def test_settings_that_say_nothing_allow_nothing_more(resolved: object) -> None:
    assert rules_of(SimpleNamespace(resolved=resolved)) == Rules()
    assert rules_of(None) == Rules()


def test_settings_name_what_is_allowed_and_denied() -> None:
    said = {
        "gateway": {"nodes": {"commands": {"allow": [" camera.snap ", "worker.launch.v1"], "deny": ("system.run",)}}}
    }
    assert rules_of(SimpleNamespace(resolved=said)) == Rules(frozenset({"camera.snap"}), frozenset({"system.run"}))


def test_each_refusal_says_what_can_be_done_about_it() -> None:
    rules = Rules(deny=frozenset({"sms.send"}))
    told = {
        policy.explained("command not allowlisted", command, "linux", rules, ())
        for command in ("sms.send", "camera.snap", "talk.ptt.start", "made.up")
    }
    told.add(policy.explained("node did not declare commands", "x", None, rules, ("x",)))
    told.add(policy.explained("node did not declare commands", "x", None, rules, ()))
    told.add(policy.explained("command not declared by node", "x", None, rules, ()))
    assert len(told) == 7
