"""Answers about the past as lines for people: records, branches, receipts, and what was asked of them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.repl.tables import Column, numbers, table
from debugger.repl.texts import Style, line

Shown = Mapping[str, Any]
LOG: Final = (
    Column("mark", " "), numbers("at", "record"), numbers("number", "step"), Column("kind", firm=True), Column("tool"),
    Column("call"), Column("actor"), Column("about"),
)  # fmt: skip
BRANCHES: Final = (
    Column("mark", " "), Column("branch"), Column("from"), numbers("head"), numbers("steps"), numbers("tokens"),
    Column("prompt"),
)  # fmt: skip
RECEIPT: Final = (numbers("record"), Column("effect", firm=True), Column("undone"), Column("call"), Column("what"))
SIDES: Final = (
    Column("side", " "), Column("branch"), numbers("head"), numbers("steps"), numbers("turns"), numbers("requests"),
    Column("outcome"), Column("answer"), numbers("tokens"), Column("verdicts"),
)  # fmt: skip


def log(result: Shown, style: Style) -> list[str]:
    """Return records; the one that one stands at has a mark."""
    here = result.get("here")
    rows = [{"mark": ">" if row["at"] == here else "", **row} for row in result["steps"]]
    more = len(rows) < result["total"]
    return (table(rows, LOG, style.width) or ["no records"]) + ([f"{len(rows)} of {result['total']}"] if more else [])


def branches(result: Shown, style: Style) -> list[str]:
    """Return branches with their notes, and the marks of records."""
    rows = [
        {
            "mark": "*" if one.get("live") else "",
            "branch": one["name"],
            "from": f"{one['parent']} {one['origin']}" if one.get("origin") else "",
            "head": one["head"],
            "steps": one.get("steps"),
            "tokens": one.get("tokens"),
            "prompt": one.get("outcome"),
        }
        for one in result["branches"]
    ]
    notes = result.get("notes", ())
    return table(rows, BRANCHES, style.width) + [
        f"record {one['at']}: {line(_noted(one))} [{line(one['by'])}]" for one in notes
    ]


def _noted(note: Shown) -> str:
    return " - ".join(str(one) for one in (note["name"], note["note"]) if one)


def receipt(result: Shown, style: Style) -> list[str]:
    """Return what is not undone, and how many of it a person must confirm."""
    rows = [
        {
            "record": one["seq"],
            "effect": one["effect"],
            "undone": "yes" if one["undone"] else "no",
            "call": one["call"],
            "what": one["line"],
        }
        for one in result["entries"]
    ]
    if not rows:
        return [f"nothing happened outside after record {result['at']}"]
    count = result["needed"]
    told = (
        f"{count} of it cannot be undone; confirmed by {line(result['digest'])}" if count else "all can be done again"
    )
    return [f"after record {result['at']}:", *table(rows, RECEIPT, style.width), style(told, "red") if count else told]


def blame(result: Shown) -> list[str]:
    """Return who wrote a value."""
    writer = result.get("writer")
    if writer is None:
        return [f"{line(result['path'])} {'has not changed' if 'value' in result else 'was never there'}"]
    old = (line(writer["old"], 300) or '""') if "old" in writer else "absent"
    new = (line(writer["new"], 300) or '""') if "new" in writer else "absent"
    reason = f": {line(writer['reason'])}" if writer.get("reason") else ""
    return [f"{line(result['path'])}: {old} -> {new}", f"  {_record(writer)}{reason}"]


def _record(row: Shown) -> str:
    what = " ".join(line(one) for one in (row["kind"], row.get("tool"), row.get("call")) if one)
    return f"record {row['at']} (step {row['number']}): {what} by {line(row['actor'])}"


def bisect(result: Shown) -> list[str]:
    """Return when an expression became true."""
    failed = [f"{result['failed']} records could not be asked: {line(result['why'])}"] if result.get("failed") else []
    first = result["first"]
    if first is None:
        return ["it was never true", *failed]
    turned = result["turned"]
    found = [f"true from {_record(first)}"]
    if turned > 1:
        found.append(f"it turned {turned} times, and is {'true' if result['now'] else 'false'} here:")
        found += [f"  {'true ' if one['became'] else 'false'} {_record(one)}" for one in result["turns"]]
    return found + failed


def compare(result: Shown, style: Style) -> list[str]:
    """Return two branches side by side."""
    common, parting = result["common"], result["parting"]
    found = [f"together up to {_record(common)}"] if common else []
    alike = f" after {parting['alike']} equal steps" if parting["alike"] else ""
    if parting["a"] or parting["b"]:
        found.append(f"they differ{alike}:")
        found += [f"  {name}: {_record(parting[name]) if parting[name] else 'ends there'}" for name in ("a", "b")]
    else:
        found.append("they did the same")
    sides = [_side(name, result[name]) for name in ("a", "b") if isinstance(result.get(name), Mapping)]
    found += table(sides, SIDES, style.width)
    for pair in result["calls"]:
        mark = " " if pair["same"] else style("~", "yellow")
        found += [f"{mark} {name} {_call(pair[name])}" for name in ("a", "b")]
    return found


def _side(name: str, side: Shown) -> dict[str, Any]:
    told = ("branch", "head", "steps", "turns", "requests", "outcome", "answer")
    verdicts = ", ".join(f"{count} {decision}" for decision, count in side["verdicts"].items())
    return {"side": name, **{one: side[one] for one in told}, "tokens": side["tokens"]["total"], "verdicts": verdicts}


def _call(call: Shown | None) -> str:
    if call is None:
        return "-"
    ran = f"ran {call['ran']}x" if call["ran"] else "did not run"
    edited = ", edited" if call["edited"] else ""
    asked = f"{line(call['name'])} {line(call['args'], 80)}"
    judged = line(call["verdict"] or "not judged")
    return f"{asked} {judged}, {ran}{edited}: {line(call['result'], 80)}"
