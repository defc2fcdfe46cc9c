"""config.* and secrets.reload: the settings, as they are and as somebody wants them (CONTRACT sections 8 and 11).

What the methods answer is in `runtime.config.openclaw.answers`; no secret leaves from here.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

from attrs import frozen

from runtime.config.openclaw import Edited, Loaded, Rejected, answers, patch, replace
from runtime.config.openclaw.schema import PATH
from runtime.gateway.annals import iso
from runtime.gateway.configbook import ConfigBook
from runtime.gateway.frames import GatewayError, invalid, unavailable
from runtime.gateway.params import Least, Length, Pattern, Text
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

LIMIT: Final = 30
WINDOW_MS: Final = 60_000
"""So many calls of config.patch and of config.apply a client may make in a minute (measured)."""
COUNTED: Final = 1_000
"""Clients whose calls are counted at a time."""


@frozen(kw_only=True)
class SetParams:
    """Params of config.set."""

    raw: Text
    base_hash: Text | None = None


@frozen(kw_only=True)
class Delivery:
    """Where a note is to go after a restart."""

    channel: str | None = None
    to: str | None = None
    account_id: str | None = None
    thread_id: str | float | None = None


@frozen(kw_only=True)
class ApplyParams:
    """Params of config.apply."""

    raw: Text
    base_hash: Text | None = None
    session_key: str | None = None
    delivery_context: Delivery | None = None
    note: str | None = None
    restart_delay_ms: Annotated[int, Least(0)] | None = None


@frozen(kw_only=True)
class PatchParams:
    """Params of config.patch."""

    raw: Text
    base_hash: Text | None = None
    session_key: str | None = None
    delivery_context: Delivery | None = None
    note: str | None = None
    restart_delay_ms: Annotated[int, Least(0)] | None = None
    replace_paths: tuple[Text, ...] = ()


@frozen(kw_only=True)
class LookupParams:
    """Params of config.schema.lookup."""

    path: Annotated[str, Length(1, 1024), Pattern(f"^{PATH}$")]


async def get(call: Call) -> Any:
    """Return the settings as the file has them."""
    book = book_of(call)
    return answers.config_get(await book.current(), book.used.revision)


async def set_(call: Call) -> Any:
    """Put a whole text in the place of the settings."""
    edited = await changed(call, partial(replace, raw=call.params.raw, base_hash=call.params.base_hash))
    return answers.config_set(edited)


async def patch_(call: Call) -> Any:
    """Merge an object into the settings."""
    limited(call)
    params = call.params
    edited = await changed(
        call, partial(patch, raw=params.raw, base_hash=params.base_hash, replace_paths=params.replace_paths)
    )
    answer = answers.config_patch(edited, now_ms=call.desk.clock.wall(), request=request(params), noted=False)
    return honest(call, edited, answer)


async def apply(call: Call) -> Any:
    """Put a whole text in the place of the settings, and tell what became of it."""
    limited(call)
    params = call.params
    edited = await changed(call, partial(replace, raw=params.raw, base_hash=params.base_hash))
    answer = answers.config_apply(edited, now_ms=call.desk.clock.wall(), request=request(params), noted=False)
    return honest(call, edited, answer)


async def schema(call: Call) -> Any:
    """Return the schema of the settings."""
    return answers.config_schema(version=call.desk.version, generated_at=iso(call.desk.started))


async def lookup(call: Call) -> Any:
    """Return the schema of one key."""
    found = answers.config_schema_lookup(call.params.path)
    if found is None:
        raise invalid("config schema path not found")
    return found


async def reload_secrets(call: Call) -> Any:
    """Read the settings again, with the files and variables that secrets come from."""
    loaded = await book_of(call).reload()
    call.desk.hub.tell("chat.metadata.changed", {})
    return {"ok": True, "warningCount": len(loaded.warnings)}


def book_of(call: Call) -> ConfigBook:
    """Return the settings of this gateway. Raises GatewayError where it has none."""
    book: ConfigBook = call.desk.part("config")
    return book


async def changed(call: Call, work: Callable[[Loaded], Edited]) -> Edited:
    """Change the settings. Raises GatewayError that says why not."""
    try:
        return await book_of(call).edit(work)
    except Rejected as exc:
        raise invalid(str(exc), exc.details) from exc


def honest(call: Call, edited: Edited, answer: dict[str, Any]) -> dict[str, Any]:
    """Say of a change whether this gateway has to be started again for it."""
    if "sentinel" in answer:
        answer["sentinel"]["payload"]["stats"]["requiresRestart"] = bool(book_of(call).restarts(edited.changed))
    return answer


def request(params: ApplyParams | PatchParams) -> JsonObject:
    """Return what a note carries of the params."""
    context = params.delivery_context
    return {
        "sessionKey": params.session_key,
        "note": params.note,
        "deliveryContext": None
        if context is None
        else {"channel": context.channel, "to": context.to, "accountId": context.account_id},
        "threadId": None if context is None else context.thread_id,
    }


def limited(call: Call) -> None:
    """Count a call of this client. Raises GatewayError for one too many."""
    counts = book_of(call).calls
    now = call.desk.clock.wall()
    name = (call.method, client(call))
    since, count = counts.get(name, (now, 0))
    if now - since >= WINDOW_MS:
        since, count = now, 0
    if count >= LIMIT:
        raise too_many(call.method, since + WINDOW_MS - now)
    if name not in counts and len(counts) >= COUNTED:
        for old in [one for one, (began, _) in counts.items() if now - began >= WINDOW_MS] or [next(iter(counts))]:
            del counts[old]
    counts[name] = (since, count + 1)


def client(call: Call) -> str:
    """Return whose calls count together: those of a device, else of a connection."""
    if call.caller is None:
        return "inside"
    accepted = call.caller.accepted
    return (accepted.device if accepted is not None else None) or call.caller.id


def too_many(method: str, wait: int) -> GatewayError:
    """Return the refusal of a call too many (measured)."""
    return unavailable(
        f"rate limit exceeded for {method}; retry after {-(-wait // 1000)}s",
        retry_after_ms=wait,
        details={"method": method, "limit": f"{LIMIT} per {WINDOW_MS // 1000}s"},
    )


METHODS: Final = [
    Method("config.get", get),
    Method("config.set", set_, SetParams),
    Method("config.patch", patch_, PatchParams),
    Method("config.apply", apply, ApplyParams),
    Method("config.schema", schema),
    Method("config.schema.lookup", lookup, LookupParams),
    Method("secrets.reload", reload_secrets, dict[str, Any]),
]
