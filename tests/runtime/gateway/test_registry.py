"""The table of methods."""

import pytest
from attrs import frozen

from runtime.errors import LocalError
from runtime.gateway import scopes
from runtime.gateway.frames import GatewayError
from runtime.gateway.registry import FAMILIES, Call, Method, Registry
from tests.fakes.gateway import serving


async def nothing(call: Call) -> None:
    """A handler that does nothing."""


@frozen(kw_only=True)
class Params:
    """Params of a method of these tests."""

    session_key: str
    limit: int = 5


def test_every_method_has_a_scope_and_belongs_to_one_family() -> None:
    registry = Registry.of()
    nobody = frozenset[str]()
    for name in registry.methods:
        assert scopes.refusal("operator", scopes.effective(["operator.admin"]), name, {}) is None or (
            scopes.refusal("node", nobody, name, {}) is None
        ), name
    assert len(registry.methods) >= len(FAMILIES)


def test_a_name_is_claimed_once() -> None:
    registry = Registry()
    registry.add(Method("a", nothing))
    with pytest.raises(LocalError, match="two methods are called a"):
        registry.add(Method("a", nothing))


def test_a_name_that_nobody_answers_to_is_unknown() -> None:
    with pytest.raises(GatewayError, match="unknown method: b"):
        Registry().get("b")


def test_hello_names_what_is_advertised_in_order() -> None:
    registry = Registry()
    for method in (Method("b", nothing), Method("hidden", nothing, advertised=False), Method("a", nothing)):
        registry.add(method)
    assert registry.names() == ["a", "b"]
    assert registry.get("hidden").name == "hidden"


def test_params_are_read_into_their_class() -> None:
    method = Method("a", nothing, Params)
    assert method.decode("a", {"sessionKey": "x"}) == Params(session_key="x")
    with pytest.raises(GatewayError, match="invalid a params: must have required property 'sessionKey'"):
        method.decode("a", {})


@pytest.mark.parametrize("given", [None, {}])
def test_a_method_without_params_takes_none(given: object) -> None:
    assert Method("a", nothing).decode("a", given) is not None
    with pytest.raises(GatewayError, match="unexpected property 'x'"):
        Method("a", nothing).decode("a", {"x": 1})


async def test_a_call_from_inside_is_the_gateways_own() -> None:
    async with serving() as house:
        call = Call(house.desk, None, "health", None)
        assert (call.sender, call.scopes) == ("gateway", frozenset({"operator.admin"}))
        call.first({})
        connection = house.link()
        assert Call(house.desk, connection, "health", None).sender == "gateway-client"  # type: ignore[arg-type]
