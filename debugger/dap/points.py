"""What a breakpoint of an editor means, as a spec of the debugger's. Pure; what is in the spec the daemon judges.

An editor's breakpoint is for the sessions of its connection, and is gone with it: `group` says whose it is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from debugger.dap import requests as r
from debugger.dap.capabilities import FILTERS
from debugger.dap.errors import Refused
from debugger.dap.listing import kind_at

GROUP: Final = "dap:"
"""What groups of ours begin with; the id of the server's process follows, and then the connection to the daemon."""
_HITS: Final = re.compile(r"\s*(==|=|>=|>|%)?\s*([0-9]{1,9})\s*")
_GLOB: Final = re.compile(r"([*?\[])")
TRUE: Final = "true:"
"""What the id of watched data begins with that is an expression, and no path."""


@frozen
class Wanted:
    """A breakpoint that an editor asked for: of what sort, as a spec, and where it shows it. With `wrong`, it cannot be
    had, and that is why. `name` is the exception filter."""

    sort: str
    spec: Mapping[str, Any]
    line: int | None = None
    wrong: str = ""
    name: str = ""


def glob_of(session: str) -> str:
    """Return a glob that means this session and no other."""
    return _GLOB.sub(r"[\1]", session)


def hits_of(text: str) -> str:
    """Return the rule of a hit condition: `3` is the third hit, `> 3` the fourth and later, `% 3` every third."""
    found = _HITS.fullmatch(text)
    if found is None:
        return text.strip()  # the daemon says what is wrong with it
    sign, number = found[1] or "=", int(found[2])
    return f">= {number + 1}" if sign == ">" else f"{'=' if sign == '==' else sign} {number}"


def _spec(where: Mapping[str, Any], owner: Mapping[str, Any], condition: str, hits: str) -> dict[str, Any]:
    made = {**owner, **where}
    if condition.strip():
        made["when"] = condition.strip()
    if hits.strip():
        made["hits"] = hits_of(hits)
    return made


def on_line(one: r.LineBreakpoint, owner: Mapping[str, Any]) -> Wanted:
    """Return what a breakpoint on a line of the listing means."""
    found = kind_at(one.line)
    if found is None:
        return Wanted("breakpoint", {}, one.line, "no step has a name on this line")
    line, kind = found
    spec = _spec({"kinds": [kind]}, owner, one.condition, one.hit_condition)
    if one.log_message:
        spec["log"] = one.log_message
    return Wanted("breakpoint", spec, line)


def on_name(one: r.FunctionBreakpoint, owner: Mapping[str, Any]) -> Wanted:
    """Return what a breakpoint by name means: `tool:run_*`, `agent:main`, `event:cancel`, `new-session`, `call.*`."""
    head, colon, rest = one.name.strip().partition(":")
    where: dict[str, Any] = {"kinds": [one.name.strip()]}
    if colon and head in ("tool", "event"):
        where = {head: rest}
    elif colon and head == "agent":
        where = {"agent": rest, "kinds": ["turn.start"]}
    elif one.name.strip() == "new-session":
        where = {"new_session": True}
    wrong = "" if all(where.values()) else f"{one.name!r} names nothing"
    return Wanted("function breakpoint", _spec(where, owner, one.condition, one.hit_condition), None, wrong)


def on_data(one: r.DataBreakpoint, owner: Mapping[str, Any]) -> Wanted:
    """Return what a watched path means."""
    true = one.data_id.startswith(TRUE)
    where = {"watch": one.data_id.removeprefix(TRUE)} | ({"mode": "true"} if true else {})
    wrong = "" if one.access_type == "write" else "only writing can be watched: reads are not journaled"
    return Wanted("data breakpoint", _spec(where, owner, one.condition, one.hit_condition), None, wrong)


def on_filter(name: str, condition: str, owner: Mapping[str, Any]) -> Wanted:
    """Return what an exception filter means. Raises Refused for one that was not offered."""
    one = FILTERS.get(name)
    if one is None:
        raise Refused(f"there is no exception filter {name[:60]!r}; there are {', '.join(FILTERS)}")
    if one.asks:
        wrong = "" if condition.strip() else f"{name} needs a condition: tokens N, seconds N, or cost N at IN/OUT"
        spec = _spec({"catch": f"{one.catch} {condition.strip()}"}, owner, "", "")
        return Wanted("exception", spec, None, wrong, name)
    return Wanted("exception", _spec({"catch": one.catch}, owner, condition, ""), None, "", name)
