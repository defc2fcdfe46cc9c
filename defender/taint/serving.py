"""One decision from an object: for `twinstep defender decide`, which reads JSON lines. Pure.

The object stands alone: `prompt` and `system` (trusted), `trace` (a list of `call` with `name` and `args`, `result`,
`origin`, `integrity`), `call`, and `tool_meta` (of each tool `effect`, `sink_args`, `content_args`, `result`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from defender.taint.deciding import decide
from runtime.errors import InputError
from runtime.ports import Asked
from runtime.provenance import Integrity, Licence, mark, of
from runtime.vocab import UNKNOWN_FLOW, Content, Decision, EffectClass, Flow, JsonObject, ToolSpec

EFFECTS: Final = frozenset({"none", "fetch", "local", "egress", "privileged"})
RESULTS: Final = frozenset({"trusted", "untrusted", "echo"})


def answer(given: JsonObject) -> dict[str, Any]:
    """Return the decision about one object. Raises InputError for what is none."""
    found = decide(asked_of(given))
    said: dict[str, Any] = {"id": given.get("id"), "decision": found.decision.value, "score": found.score}
    if found.decision is not Decision.ALLOW:
        first = found.signals[0]
        said |= {"rule": first.rule, "reason": first.reason, "evidence": first.evidence}
    return said


def factory() -> Callable[[JsonObject], dict[str, Any]]:
    """Return the function that answers one object."""
    return answer


def asked_of(given: JsonObject) -> Asked:
    """Return the call of an object as the engine sees it. Raises InputError that names what is wrong."""
    meta = _object(given.get("tool_meta", {}), "tool_meta")
    call = _call(given.get("call"), "call")
    history = list[Content]()
    trace = given.get("trace", [])
    if not isinstance(trace, list):
        raise InputError("trace: must be a list")
    for n, one in enumerate(trace):
        at = f"trace[{n}]"
        history += _brought(_object(one, at), at)
    return Asked(
        spec=_spec(call["name"], meta.get(call["name"])),
        args=call["args"],
        licence=Licence(_text(given, "prompt"), (), _text(given, "system")),
        provenance=of(history),
        history=history,
    )


def _brought(one: Mapping[str, Any], at: str) -> tuple[Content, Content]:
    call = _call(one.get("call"), f"{at}.call")
    name, integrity = call["name"], one.get("integrity")
    known = Integrity(integrity) if integrity in {each.value for each in Integrity} else Integrity.UNTRUSTED
    origins = dict.fromkeys((f"tool:{name}", str(one.get("origin") or f"tool:{name}")))
    labels = tuple(mark(known, origin) for origin in origins)
    answered = {"functionResponse": {"id": at, "name": name, "response": {"output": str(one.get("result", ""))}}}
    asked = {"functionCall": {"id": at, "name": name, "args": call["args"]}}
    return Content("model", (asked,), ("model",)), Content("user", (answered,), labels)


def _spec(name: str, meta: Any) -> ToolSpec:
    return ToolSpec(name, "", {}, EffectClass.IRREVERSIBLE, "execute", flow=_flow(meta, f"tool_meta.{name}"))


def _flow(meta: Any, at: str) -> Flow:
    if meta is None:
        return UNKNOWN_FLOW
    told = _object(meta, at)
    effect, result = told.get("effect"), told.get("result")
    if effect not in EFFECTS:
        return UNKNOWN_FLOW
    known = cast("Any", result if result in RESULTS else "untrusted")
    return Flow(cast("Any", effect), _names(told, "sink_args", at), _names(told, "content_args", at), known)


def _names(told: Mapping[str, Any], key: str, at: str) -> tuple[str, ...]:
    value = told.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{at}.{key}: must be a list of texts")
    return tuple(value)


def _call(value: Any, at: str) -> dict[str, Any]:
    told = _object(value, at)
    name, args = told.get("name"), told.get("args", {})
    if not isinstance(name, str) or not name:
        raise InputError(f"{at}.name: must be a text")
    return {"name": name, "args": _object(args, f"{at}.args")}


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{at}: must be an object")
    return value


def _text(given: JsonObject, key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{key}: must be a text")
    return value
