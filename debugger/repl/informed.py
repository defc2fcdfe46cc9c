"""`info`, `sessions`, `log` and `audit`: tables whose columns have names, units and sides. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from debugger.repl.naming import brief
from debugger.repl.place import Place
from debugger.repl.tables import Column, amount, cell, listed, numbers, seconds, table
from debugger.repl.tasking import WAITED
from debugger.repl.texts import Style, line, many, whose

Shown = Mapping[str, Any]
_YES_NO: Final = {True: "yes", False: "no"}


def moment(value: Any) -> str:
    """Return milliseconds since 1970 as a time of UTC."""
    try:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return cell(value)


def _said(value: Any) -> str:
    return _YES_NO[value] if isinstance(value, bool) else cell(value) or "none"


def _some(value: Any) -> str:
    return amount(value) if value else ""


def _clock(value: Any) -> str:
    return "stands still" if value else "runs"


def _long(value: Any) -> str:
    return "" if value is None else line(value, 200)


TOPICS: Final[Mapping[str, Sequence[Column]]] = {
    "calls": (
        Column("id"), Column("name", "tool"), Column("phase"), numbers("wave"), Column("focus", "alone"),
        Column("edited"), Column("args", "arguments", _long),
    ),
    "tools": (Column("name", "tool"), Column("effect"), Column("serial"), Column("offered", "", _said)),
    "agents": (Column("agent"), Column("session"), Column("key", "", _long), Column("id")),
    "usage": (Column("what"), numbers("tokens"), numbers("turns")),
    "timers": (
        Column("name", "deadline"), Column("call"), seconds("left"), seconds("seconds", "of"),
        Column("frozen", "clock", _clock),
    ),
    "locks": (Column("waits_for", "waits for"), numbers("tasks")),
    "queue": (Column("queue"), Column("stands", "what stands there")),
    "policy": (Column("setting"), Column("value", "", _said)),
    "clients": (Column("connection"), Column("user"), Column("drives")),
}  # fmt: skip
"""The columns of each topic. What a daemon of another version has besides is shown behind them."""
NONE: Final[Mapping[str, str]] = {
    "calls": "no calls: no turn with calls is open",
    "tools": "no tools: the context is not built yet",
    "timers": "no deadlines: nothing is under way",
    "clients": "no clients",
    "locks": "nobody waits for it",
}
AUDIT: Final = (
    numbers("number"), Column("at", "when", moment, firm=True), Column("user"), Column("action"), Column("session"),
    Column("reason", "", _long), Column("before", "", _long), Column("after", "", _long),
)  # fmt: skip
LOG: Final = (
    Column("mark", " "), numbers("at", "record"), numbers("number", "step"), Column("wall", "when", moment, firm=True),
    Column("kind"), Column("tool"), Column("call"), Column("actor"), Column("about", "", _long),
)  # fmt: skip
SESSIONS: Final = (
    Column("mark", " "), Column("name", "session"), Column("state"), numbers("turn", "", _some),
    numbers("tokens"), numbers("lane", "waiting", _some), Column("driver"), Column("kept", "", whose),
    Column("cause", "why"), Column("key", "", _long), Column("id"), Column("updated", "changed", moment),
)  # fmt: skip
BREAKPOINTS: Final = (
    Column("mark", " "), numbers("id", "num"), Column("sort", "type"), Column("fate", "disp"), Column("on", "enb"),
    numbers("hits"), Column("session"), Column("place", "what", _long), Column("notes", "", _long),
)  # fmt: skip


def info(result: Shown, place: Place, topic: str, style: Style) -> list[str]:
    """Return the table of a topic."""
    if "entries" in result:
        return audit(result, place, style)
    rows = [_row(topic, row, place) for row in result["rows"] if topic != "locks" or row.get("tasks") != 0]
    known = TOPICS.get(topic, ())
    more = [Column(name) for name in dict.fromkeys(name for row in rows for name in row)]
    columns = [*known, *(one for one in more if one.name not in {column.name for column in known})]
    return table(rows, columns, style.width) or [NONE.get(topic, "none")]


def _row(topic: str, row: Shown, place: Place) -> dict[str, Any]:
    made = dict(row)
    if topic == "queue":
        return {"queue": made.pop("queue"), "stands": _queued(made)}
    if topic == "agents":
        made["id"], made["session"] = made.get("session"), place.names.short(made.get("session"))
    if topic == "locks":
        made["waits_for"] = WAITED.get(str(row.get("waits_for")), row.get("waits_for"))
    if topic == "tools":
        made.setdefault("offered", False)
    return made


def _queued(row: Shown) -> str:
    if "place" in row:
        return "not there" if row["place"] is None else f"{many(row['place'], 'session')} before it"
    said = [many(row[name], name[:-1]) for name in ("messages", "events", "characters") if name in row]
    return ", ".join(said) + (", full" if row.get("full") else "")


def sessions(result: Shown, place: Place, style: Style) -> list[str]:
    """Return the list of sessions under their short names; the current one is marked."""
    rows = [_session(row, place) for row in result["sessions"]]
    found = table(rows, SESSIONS, style.width) or ["there are no sessions"]
    return found + ([f"… and more: there are {line(result.get('total', 'others'))}"] if result.get("next") else [])


def _session(row: Shown, place: Place) -> dict[str, Any]:
    session, phase = row.get("session", ""), row.get("phase") or ("" if row.get("live", True) else "not loaded")
    name, key = place.names.short(session), row.get("key") or ""
    state = f"held, {phase}" if row.get("held") else phase
    made: dict[str, Any] = {**row, "name": name, "state": state, "mark": ">" if session == place.session else ""}
    return made | {"key": key if key != name else "", "id": brief(session) if session != name else "", "updated": None}


def log(result: Shown, place: Place, style: Style) -> list[str]:
    """Return records, those that fit; the one that one stands behind has a mark."""
    rows = [{"mark": ">" if row.get("at") == result.get("here") else "", **row} for row in result["steps"]]
    more = [f"{len(rows)} of {result['total']}"] if len(rows) < result["total"] else []
    return (table(rows, LOG, style.width) or ["no records"]) + more


def audit(result: Shown, place: Place, style: Style) -> list[str]:
    """Return entries of the audit, and what came of its proof."""
    rows = [{**one, "session": place.names.short(one.get("session") or "")} for one in result["entries"]]
    found = table(rows, AUDIT, style.width)
    proof = result.get("verified")
    if isinstance(proof, Mapping):
        faults = [line(one) for one in proof["faults"]]
        found += faults or [f"the chain of {proof['count']} entries is whole; its head is {line(proof['hash'])}"]
    return found or ["no entries"]


def breakpoints(result: Shown, place: Place, style: Style) -> list[str]:
    """Return the breakpoints of a daemon; those that made the current session stop are marked."""
    rows = [_breakpoint(row, place) for row in result["breakpoints"]]
    return table(rows, BREAKPOINTS, style.width) or ["there are no breakpoints"]


def _breakpoint(row: Shown, place: Place) -> dict[str, Any]:
    made: dict[str, Any] = dict(row)
    session = row.get("session") or "*"
    known = [one for one, key in place.names.keys.items() if session in (one, key)]
    made["session"] = "" if session == "*" else place.names.short(known[0]) if known else row.get("key") or session
    made["mark"] = ">" if row.get("id") in place.standing.hits else ""
    made["on"] = "muted" if row.get("muted") else "y" if row.get("enabled", True) else "n"
    made["fate"] = "del" if row.get("temporary") else "dis" if row.get("once") else "keep"
    made["place"] = row.get("place") or row.get("line") or listed(row.get("kinds"))
    made["notes"] = "; ".join(str(one) for one in (row.get("notes"), row.get("why")) if one)
    return made
