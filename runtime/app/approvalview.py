"""A question as a person at a terminal reads it. Pure.

Nothing in it may look like what it is not: every line of a value is escaped and stands behind a mark, nothing of it is
left out, and what is taken for a secret is only hidden where it can hide no command.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from defender.quarantine.redaction import redacted
from runtime.app.gatewaydoor import members, texts
from runtime.app.quarantine import escaped
from runtime.step.secrets import HIDDEN, is_secret
from runtime.vocab import nested_within

LINE: Final = 100
"""Characters of a value in a list."""
_PLAIN: Final = re.compile(r"(?![/.~-])[A-Za-z0-9+/=_.:@%~-]*")
"""What may be hidden: no syntax of a shell, no path, no flag."""
_PEM_LINE: Final = re.compile(r"(?m)^(?!/)[A-Za-z0-9+/]{40,}={0,2}$")


def veiled(value: Any, name: str = "") -> Any:
    """Return a JSON value with what looks like a secret HIDDEN. `name` is the key that it stands under."""
    if isinstance(value, Mapping):
        return {key: veiled(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [veiled(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if is_secret(name) and _PLAIN.fullmatch(value):
        return HIDDEN
    text = redacted(value, lambda found: not _PLAIN.fullmatch(found))
    return _PEM_LINE.sub(HIDDEN, text) if "PRIVATE KEY-----" in text else text


def veils(value: Any) -> bool:
    """Whether a JSON value holds a text that stands for a secret."""
    if isinstance(value, Mapping):
        return any(veils(inner) for inner in value.values())
    if isinstance(value, list):
        return any(veils(inner) for inner in value)
    return isinstance(value, str) and HIDDEN in value


def row_of(question: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Return what is shown of a question, as JSON. `now` is in milliseconds since 1970."""
    request = members(question.get("request"))
    why = members(request.get("defender"))
    created, expires = question.get("createdAtMs"), question.get("expiresAtMs")
    tool = _text(request.get("tool")) or "exec"
    args = members(request.get("args")) or ({"command": request.get("command")} if tool == "exec" else {})
    chain = texts(why.get("chain")) or texts(members(request.get("commandAnalysis")).get("warningLines"))
    score = why.get("score")
    return {
        "id": _text(question.get("id")),
        "sessionKey": _text(request.get("sessionKey")),
        "tool": tool,
        "args": veiled(args) if nested_within(args) else HIDDEN,
        "cwd": _text(request.get("cwd")),
        "rule": _text(why.get("rule")),
        "reason": redacted(_text(why.get("reason")) or _text(request.get("warningText"))),
        "score": score if isinstance(score, int | float) else None,
        "chain": [redacted(one) for one in chain],
        "allowed": list(texts(request.get("allowedDecisions")) or ("allow-once", "deny")),
        "waitedMs": max(0, now - created) if type(created) is int else None,
        "leftMs": max(0, expires - now) if type(expires) is int else None,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def listed(row: Mapping[str, Any]) -> str:
    """Return a question as one line of a list."""
    args = row["args"]
    first = ", ".join(f"{name}={value}" for name, value in args.items()) if isinstance(args, Mapping) else str(args)
    shown = escaped(first)
    shown = shown if len(shown) <= LINE else f"{shown[: LINE - 1]}…"
    rule = f"  [{escaped(row['rule'])}]" if row["rule"] else ""
    return f"{escaped(row['id'])}  {times(row)}  {escaped(row['tool'])}: {shown}{rule}"


def times(row: Mapping[str, Any]) -> str:
    """Return how long a question has waited, and how long it may."""
    waited, left = row["waitedMs"], row["leftMs"]
    parts = [f"waits {waited // 1000} s"] if waited is not None else []
    return ", ".join([*parts, *([f"{left // 1000} s left"] if left is not None else [])]) or "waits"


def lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield all of a question."""
    yield f"question {escaped(row['id'])}  ({times(row)})"
    for name in ("sessionKey", "cwd", "rule", "reason"):
        if row[name]:
            yield f"  {name.removesuffix('Key'):8} {escaped(row[name])}"
    if row["score"] is not None:
        yield f"  score    {row['score']:.2f}"
    yield f"  tool     {escaped(row['tool'])}"
    args = row["args"]
    for name, value in args.items() if isinstance(args, Mapping) else [("", args)]:
        yield f"  argument {escaped(str(name))}"
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for one in text.split("\n"):
            yield f"    | {escaped(one)}"
    for number, one in enumerate(row["chain"]):
        yield f"  {'chain' if not number else '':8} {escaped(one)}"
    yield f"  answers  {escaped(', '.join(row['allowed']))}"
