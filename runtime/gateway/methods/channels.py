"""channels.*, send, poll, message.action: messages to the world outside. There is no channel in this version.

So the status is empty, and whoever names a channel is told that it is unknown. Delivers nothing.
"""

from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.params import Items, Least, Most, Text
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

NONE: Final = (
    "Channel is required (no configured channels detected). This gateway has no channels yet; "
    "use chat.send for a session, or node.invoke for a paired device."
)
INTERNAL: Final = "webchat"


@frozen(kw_only=True)
class StatusParams:
    """Params of channels.status."""

    probe: bool | None = None
    timeout_ms: Annotated[int, Least(0)] | None = None
    channel: Text | None = None


@frozen(kw_only=True)
class ChannelParams:
    """Params of channels.start, .stop and .logout."""

    channel: Text
    account_id: str | None = None


@frozen(kw_only=True)
class SendParams:
    """Params of send."""

    to: Text
    message: str | None = None
    media_url: str | None = None
    media_urls: tuple[str, ...] = ()
    buffer: str | None = None
    filename: str | None = None
    content_type: str | None = None
    as_voice: bool | None = None
    gif_playback: bool | None = None
    channel: str | None = None
    account_id: str | None = None
    agent_id: str | None = None
    reply_to_id: str | None = None
    thread_id: str | None = None
    force_document: bool | None = None
    silent: bool | None = None
    parse_mode: Literal["HTML"] | None = None
    session_key: str | None = None
    idempotency_key: Text


@frozen(kw_only=True)
class PollParams:
    """Params of poll."""

    to: Text
    question: Text
    options: Annotated[tuple[Text, ...], Items(2, 12)]
    max_selections: Annotated[int, Least(1), Most(12)] | None = None
    duration_seconds: Annotated[int, Least(1), Most(604_800)] | None = None
    duration_hours: Annotated[int, Least(1)] | None = None
    silent: bool | None = None
    is_anonymous: bool | None = None
    thread_id: str | None = None
    channel: str | None = None
    account_id: str | None = None
    idempotency_key: Text


@frozen(kw_only=True)
class ActionParams:
    """Params of message.action."""

    channel: Text
    action: Text
    params: JsonObject
    reply: JsonObject | None = None
    account_id: str | None = None
    requester_account_id: str | None = None
    requester_sender_id: str | None = None
    sender_is_owner: bool | None = None
    session_key: str | None = None
    session_id: str | None = None
    inbound_turn_kind: Literal["user_request", "room_event"] | None = None
    agent_id: str | None = None
    tool_context: JsonObject | None = None
    conversation_read_origin: Literal["direct-operator"] | None = None
    idempotency_key: Text


async def status(call: Call) -> Any:
    """Return how the channels are."""
    if call.params.channel is not None:
        raise invalid(f"unknown channel: {call.params.channel}")
    pulse = call.desk.extras.get("pulse")
    return {
        "ts": call.desk.clock.wall(),
        "channelOrder": [],
        "channelLabels": {},
        "channelDetailLabels": {},
        "channelSystemImages": {},
        "channelMeta": [],
        "eventLoop": pulse.shown() if pulse is not None else {"degraded": False},
        "channels": {},
        "channelAccounts": {},
        "channelDefaultAccountId": {},
        "statusIssues": [],
    }


async def switch(call: Call) -> Any:
    """Start, stop or forget a channel."""
    raise invalid(f"invalid {call.method} channel")


async def send(call: Call) -> Any:
    """Send a message to somebody outside."""
    params = call.params
    if not any((params.message, params.media_url, params.media_urls, params.buffer)):
        raise invalid("invalid send params: text or media is required")
    raise nowhere(params.channel)


async def poll(call: Call) -> Any:
    """Ask people outside to choose."""
    raise nowhere(call.params.channel)


async def action(call: Call) -> Any:
    """Do something to a message outside."""
    params = call.params
    raise invalid(f"Channel {params.channel} does not support action {params.action}.")


def nowhere(channel: str | None) -> GatewayError:
    """Return why nothing can be sent."""
    name = (channel or "").strip()
    if not name:
        return invalid(NONE)
    if name.lower() == INTERNAL:
        return invalid(f"unsupported channel: {name} (internal-only); use chat.send")
    return invalid(f"unsupported channel: {name}")


METHODS: Final = [
    Method("channels.status", status, StatusParams),
    Method("channels.start", switch, ChannelParams),
    Method("channels.stop", switch, ChannelParams),
    Method("channels.logout", switch, ChannelParams),
    Method("send", send, SendParams),
    Method("poll", poll, PollParams),
    Method("message.action", action, ActionParams),
]
