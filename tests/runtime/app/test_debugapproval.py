"""`twinstep attach --approve` at gateways that refuse: one sentence, and no group of errors."""

from pathlib import Path

import pytest

from debugger.protocol import Failure
from runtime.app.debugaddress import Address
from runtime.app.debugapproval import approve
from tests.fakes.peer_gateway import gateway


def at(port: int) -> Address:
    return Address(url=f"ws://127.0.0.1:{port}", host="127.0.0.1", port=port, path="/", key=Path("nowhere"), token="T")


async def test_a_gateway_that_wants_a_device_takes_no_approval_from_here() -> None:
    async with gateway(wants_device=True) as peer:
        with pytest.raises(Failure, match="only from its own machine"):
            await approve(at(peer.port), "driver", "req-1")


async def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(Failure, match="nobody answers"):
        await approve(at(1), "driver", "req-1")
