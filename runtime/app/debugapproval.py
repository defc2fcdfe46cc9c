"""Lets another machine debug: approves the request that its device left at the gateway.

It works on the gateway's machine: there the shared secret gives the scopes that are approved, and the gateway asks the
kernel whether this is a tool of an agent.
"""

from typing import Any, Final

import trio

from debugger.protocol import ROLES, Failure, Role
from runtime.app.debugaddress import Address
from runtime.app.debugdoor import Stranger, enter_as
from runtime.app.gatewaydoor import BELOW, Talk, members, sentence, texts, told
from runtime.errors import TwinstepError
from runtime.gateway.scopes import DEBUG_SCOPES, PAIRING

SECONDS: Final = 20.0


async def approve(address: Address, role: Role, request: str) -> str:
    """Approve a request, whose device gets `role` at most; return what was done. Raises Failure in one sentence."""
    answer: dict[str, Any] = {}
    trouble: TwinstepError | None = None
    scopes = (*DEBUG_SCOPES[: ROLES.index(role) + 1], PAIRING)
    try:
        with trio.move_on_after(SECONDS):
            async with trio.open_nursery() as nursery:
                entered = await enter_as(nursery, address, role, scopes, None)
                try:
                    answer = await Talk(address, entered.socket).call("device.pair.approve", {"requestId": request})
                finally:
                    await entered.aclose()
                nursery.cancel_scope.cancel()
    except* Stranger:
        trouble = Failure("denied", f"{address.url}: takes an approval only from its own machine.")
    except* (TwinstepError, *BELOW) as group:
        trouble = told(address.url, group)
    if trouble is not None:  # raised behind the block: what is raised inside comes out as a group
        raise trouble
    if not answer:
        raise Failure("late", f"{address.url}: did not answer as a gateway within {SECONDS:g} seconds.")
    if not answer.get("ok"):
        message = sentence(members(answer.get("error")).get("message", "it is refused"))
        raise Failure("refused", f"{address.url}: does not approve {request}: {message}.")
    device = members(members(answer.get("payload")).get("device"))
    scopes = texts(device.get("scopes")) or ("nothing",)
    return sentence(f"approved device {str(device.get('deviceId', ''))[:8]} for {', '.join(scopes)}")
