"""channels.*, send, poll, message.action: there is no channel, and everybody is told so."""

from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import serving

FAMILIES = ("channels",)
STATUS = {
    "ts": int,
    "channelOrder": list,
    "channelLabels": dict,
    "channelDetailLabels": dict,
    "channelSystemImages": dict,
    "channelMeta": list,
    "eventLoop": dict,
    "channels": dict,
    "channelAccounts": dict,
    "channelDefaultAccountId": dict,
    "statusIssues": list,
}
"""What trace methods/channels_status shows."""


@pytest.mark.parametrize("params", [{}, {"probe": True, "timeoutMs": 2000}])
async def test_the_status_has_its_shape_and_no_channel(params: dict[str, Any], autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("channels.status", **params)
        assert {name: type(value) for name, value in answer.items()} == STATUS
        assert not any(answer[name] for name in STATUS.keys() - {"ts", "eventLoop"})


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a status": ("channels.status", {"channel": "telegram"}, "unknown channel: telegram"),
    "a start": ("channels.start", {"channel": "telegram"}, "invalid channels.start channel"),
    "a stop": ("channels.stop", {"channel": "telegram"}, "invalid channels.stop channel"),
    "a logout": ("channels.logout", {"channel": "nope"}, "invalid channels.logout channel"),
    "a message": ("send", {"to": "x", "message": "m"}, "Channel is required"),
    "a message to a channel": ("send", {"to": "x", "message": "m", "channel": "telegram"}, "unsupported channel"),
    "a message to the page": ("send", {"to": "x", "message": "m", "channel": "webchat"}, r"use chat\.send"),
    "an empty message": ("send", {"to": "x"}, "text or media is required"),
    "a poll": ("poll", {"to": "x", "question": "q", "options": ["a", "b"]}, "Channel is required"),
    "a poll of one": ("poll", {"to": "x", "question": "q", "options": ["a"]}, "must not have fewer than 2 items"),
    "an action": ("message.action", {"channel": "nope", "action": "react", "params": {}}, "does not support action"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_nothing_goes_out(case: str, autojump_clock: MockClock) -> None:
    method, params, why = REFUSED[case]
    if not method.startswith("channels."):
        params = {**params, "idempotencyKey": "k"}
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match=why) as caught:
            await house.call(method, **params)
        assert caught.value.code == "INVALID_REQUEST"
