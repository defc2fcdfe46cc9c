"""Scopes: what implies what, which call needs which, and the answer to one that may not be made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import scopes
from runtime.gateway.scopes import ADMIN, APPROVALS, NODE, OPERATOR, READ, SCOPES, TALK, TALK_SECRETS, WRITE

ANY = st.sets(st.sampled_from(sorted(SCOPES)))


def test_write_implies_read_and_talk_and_admin_implies_all() -> None:
    assert scopes.effective([WRITE]) == {WRITE, READ, TALK}
    assert scopes.effective([ADMIN]) == SCOPES
    assert scopes.effective([APPROVALS]) == {APPROVALS}


@given(ANY)
def test_what_is_effective_stays_so(granted: set[str]) -> None:
    assert scopes.effective(scopes.effective(granted)) == scopes.effective(granted) >= granted


@given(ANY, ANY)
def test_more_scopes_never_allow_less(granted: set[str], more: set[str]) -> None:
    for needed in SCOPES:
        assert scopes.allowed(granted, needed) <= scopes.allowed(granted | more, needed)


@given(ANY, ANY)
def test_what_is_covered_is_what_is_allowed_one_by_one(granted: set[str], wanted: set[str]) -> None:
    assert scopes.covers(OPERATOR, granted, wanted) == all(scopes.allowed(granted, each) for each in wanted)


def test_an_admin_covers_operator_scopes_that_nobody_knows_and_no_others() -> None:
    assert scopes.covers(OPERATOR, [ADMIN], ["operator.new"])
    assert not scopes.covers(OPERATOR, [ADMIN], ["node.new"])
    assert not scopes.covers(NODE, [ADMIN], ["operator.read"])
    assert scopes.covers(NODE, [], [" "])
    assert scopes.allowed([ADMIN], "operator.new")
    assert not scopes.allowed([WRITE], "operator.new")


def test_a_scope_that_is_not_the_operators_is_covered_by_nothing() -> None:
    assert not scopes.covers(OPERATOR, ["bogus"], ["bogus"])


@pytest.mark.parametrize("role", [OPERATOR, NODE])
def test_health_is_served_to_everybody(role: str) -> None:
    assert scopes.refusal(role, [], "health") is None


@pytest.mark.parametrize("method", ["status", "sessions.list"])
def test_a_connection_without_scopes_may_not_read(method: str) -> None:
    error = scopes.refusal(OPERATOR, [], method)
    assert error is not None
    assert error.body() == {
        "code": "FORBIDDEN",
        "message": "missing scope: operator.read",
        "details": {"code": "MISSING_SCOPE", "missingScope": READ, "requiredScopes": [READ]},
    }


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        ("config.patch", ADMIN),
        ("chat.send", WRITE),
        ("connect", ADMIN),
        ("no.such.method", ADMIN),
        ("question.list", "operator.questions"),
    ],
)
def test_a_reader_misses_the_scope_that_the_method_has(method: str, missing: str) -> None:
    error = scopes.refusal(OPERATOR, [READ], method)
    assert error is not None
    assert error.message == f"missing scope: {missing}"


@pytest.mark.parametrize("method", ["connect", "no.such.method", "agent", "sessions.delete", "talk.config"])
def test_an_admin_may_call_anything_of_its_role(method: str) -> None:
    assert scopes.refusal(OPERATOR, [ADMIN], method, {"message": "/new"}) is None


@pytest.mark.parametrize("method", sorted(scopes.NODE_METHODS))
def test_methods_of_nodes_are_for_nodes_only(method: str) -> None:
    error = scopes.refusal(OPERATOR, [ADMIN], method)
    assert error is not None
    assert error.body() == {"code": "INVALID_REQUEST", "message": "unauthorized role: operator"}
    assert scopes.refusal(NODE, [], method) is None


@pytest.mark.parametrize("method", ["status", "no.such.method", "chat.send"])
def test_a_node_may_call_nothing_else(method: str) -> None:
    error = scopes.refusal(NODE, [ADMIN], method)
    assert error is not None
    assert error.message == "unauthorized role: node"


@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("agent", {"message": "hi"}, (WRITE,)),
        ("agent", {"message": "/new"}, (ADMIN,)),
        ("agent", {"message": "/RESET now"}, (ADMIN,)),
        ("agent", {"message": "/newer"}, (WRITE,)),
        ("agent", {"message": " /new"}, (WRITE,)),
        ("agent", {"message": 3}, (WRITE,)),
        ("agent", None, (WRITE,)),
        ("node.invoke", {"command": "system.run"}, (WRITE,)),
        ("node.invoke", {"command": "terminal.upload"}, (ADMIN,)),
        ("node.invoke", {"command": ["fs.listDir"]}, (WRITE,)),
        ("talk.config", {}, (READ,)),
        ("talk.config", {"includeSecrets": True}, (READ, TALK_SECRETS)),
        ("talk.config", {"includeSecrets": 1}, (READ,)),
        ("environments.list", {}, (READ,)),
        ("environments.list", {"runtimeId": "x"}, (WRITE,)),
        ("sessions.create", {}, (WRITE,)),
        ("sessions.create", {"incognito": True}, (ADMIN,)),
        ("sessions.create", {"key": "agent:main:dashboard:incognito-1"}, (ADMIN,)),
        ("sessions.create", {"key": "agent:main:dashboard:1"}, (WRITE,)),
        ("sessions.create", {"toolOverrides": None}, (ADMIN,)),
        ("sessions.create", {"permissionMode": "full"}, (ADMIN,)),
        ("sessions.create", {"permissionMode": "guarded"}, (WRITE,)),
        ("sessions.patch", {"key": "a", "label": "x"}, (WRITE,)),
        ("sessions.patch", {"key": "a", "permissionMode": "full"}, (ADMIN,)),
        ("sessions.patch", {"key": "a", "toolOverrides": {}}, (ADMIN,)),
        ("sessions.patch", [], (WRITE,)),
        ("sessions.delete", {"key": "a"}, (ADMIN,)),
        ("sessions.delete", {"key": "a", "archivedOnly": True}, (WRITE,)),
        ("sessions.delete", {"key": "a", "archivedOnly": True, "emitLifecycleHooks": False}, (ADMIN,)),
    ],
)
def test_some_scopes_depend_on_the_params(method: str, params: Any, needed: tuple[str, ...]) -> None:
    assert scopes.required(method, params) == needed


def test_of_several_scopes_the_missing_one_is_named() -> None:
    error = scopes.refusal(OPERATOR, [READ], "talk.config", {"includeSecrets": True})
    assert error is not None
    assert error.details == {
        "code": "MISSING_SCOPE",
        "missingScope": TALK_SECRETS,
        "requiredScopes": [READ, TALK_SECRETS],
    }


def test_no_method_has_two_scopes() -> None:
    names = [name for names in scopes._BY_SCOPE.values() for name in names.split()]
    assert len(names) == len(set(names)) == len(scopes.METHOD_SCOPES)
    assert not scopes.METHOD_SCOPES.keys() & (scopes._DYNAMIC.keys() | scopes.NODE_METHODS)
    assert set(scopes.METHOD_SCOPES.values()) <= SCOPES


@given(st.text(), st.sampled_from([OPERATOR, NODE]), ANY)
def test_a_name_that_nobody_knows_is_an_admins(name: str, role: str, granted: set[str]) -> None:
    known = scopes.METHOD_SCOPES.keys() | scopes._DYNAMIC.keys() | scopes.NODE_METHODS | scopes.OPEN_METHODS
    if name not in known:
        assert (scopes.refusal(role, granted, name) is None) == (role == OPERATOR and ADMIN in granted)


# --- the debugger's


DEBUGS = st.sets(st.sampled_from(sorted({*SCOPES, *scopes.DEBUG_SCOPES})))


@given(DEBUGS)
def test_nothing_but_a_scope_of_the_debugger_gives_one(granted: set[str]) -> None:
    most = max((scopes.DEBUG_SCOPES.index(one) for one in granted & set(scopes.DEBUG_SCOPES)), default=-1)
    for place, scope in enumerate(scopes.DEBUG_SCOPES):
        assert scopes.allowed(granted, scope) is (place <= most)
        assert scopes.covers(OPERATOR, granted, [scope]) is (place <= most)
        assert (scope in scopes.effective(granted)) is (place <= most)


@pytest.mark.parametrize("method", ["debug.sessions", "debug.verdict", "debug.no-such-command"])
def test_an_administrator_may_not_debug(method: str) -> None:
    error = scopes.refusal(OPERATOR, [ADMIN], method)
    assert error is not None
    assert error.message == "missing scope: operator.debug.observe"
    assert scopes.refusal(OPERATOR, ["operator.debug.drive"], method) is None
