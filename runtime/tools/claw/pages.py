"""Which part of a text `read` shows, and how it says where to go on (observed). Pure.

A page is at most `MOST_LINES` lines and `MOST_BYTES`, what is said about going on included. Without a limit pages are
put together while they are few and stay within the budget of a result.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from runtime.tools.claw.results import MOST
from runtime.tools.text import shown, units

MOST_LINES: Final = 2000
MOST_BYTES: Final = 51_200
MOST_PAGES: Final = 4


class View(NamedTuple):
    """What the model is shown, and the details."""

    text: str
    details: dict[str, Any]


class Place(NamedTuple):
    """Where to go on: a line from 1, and characters into it (None: at its beginning)."""

    line: int
    cursor: int | None = None


class _Page(NamedTuple):
    text: str
    after: Place | None
    by: str
    room: int


def view(content: str, size: int, offset: int = 1, limit: int | None = None, cursor: int = 0) -> View:
    """Return the part of a text that is asked for. `size` is that of the file in bytes."""
    lines = content.split("\n")
    closed = lines[-1] == ""
    if closed:
        lines.pop()
    if not lines:
        return _plain("File is empty (0 bytes)." if size == 0 else f"File contains no readable text ({size} bytes).")
    offset = max(1, offset)
    if offset > len(lines):
        last = len(lines)
        return _plain(f"Offset {offset} is beyond end of file ({last} lines total). Retry with offset <= {last}.")
    if cursor and (found := _astray(lines, offset, cursor)) is not None:
        return _plain(found)
    wanted = lines[offset - 1 :] if limit is None else lines[offset - 1 : offset - 1 + max(1, limit)]
    first = _from(wanted[0], cursor)
    if first is None:
        hint = f"retry with cursor={cursor - 1} or cursor={cursor + 1}"
        return _plain(f"Cursor {cursor} splits a UTF-16 surrogate pair; {hint}.")
    end = offset - 1 + len(wanted)
    text = "\n".join([first, *wanted[1:]]) + ("\n" if closed and end == len(lines) else "")
    if limit is not None:
        found_view = _limited(text, offset, cursor, len(wanted), end, len(lines))
    else:
        found_view = _unlimited(text, offset, cursor, len(wanted), len(lines))
    return found_view if any(wanted) else _blank(found_view, len(wanted), whole=len(wanted) == len(lines))


def _plain(told: str) -> View:
    return View(told, {"kind": "text", "content": told})


def _blank(found: View, count: int, *, whole: bool) -> View:
    """Say that there is nothing to be seen."""
    lines = f"{count} blank line{'' if count == 1 else 's'}"
    told = f"{'File' if whole else 'Selected range'} contains {lines}."
    return View(told + found.text[len(found.details["content"]) :], found.details)


def _astray(lines: Sequence[str], offset: int, cursor: int) -> str | None:
    length = units(lines[offset - 1])
    if cursor < length:
        return None
    more = f" Use offset={offset + 1} to continue." if offset < len(lines) else ""
    return f"Cursor {cursor} is at or beyond the end of line {offset} ({length} characters).{more}"


def _from(line: str, cursor: int) -> str | None:
    """Return a line from a place counted in UTF-16 code units; None inside a character."""
    if line.isascii() or not cursor:
        return line[cursor:]
    at = 0
    for place, char in enumerate(line):
        if at >= cursor:
            return line[place:] if at == cursor else None
        at += 2 if char > "\uffff" else 1
    return "" if at == cursor else None


def _limited(text: str, offset: int, cursor: int, count: int, end: int, total: int) -> View:
    rest = total - end
    notice = (
        f"\n\n[{rest} more line{'' if rest == 1 else 's'} in file. Use offset={end + 1} to continue.]" if rest else ""
    )
    if count <= MOST_LINES and _size(text) + _size(notice) <= MOST_BYTES:
        if not notice:
            return View(text, {"kind": "text", "content": text})
        facts = _facts("lines", total, _size(text), count, _size(text), count, MOST_BYTES)
        going_on = {"kind": "line", "offset": end + 1, "limit": count}
        return View(text + notice, _truncated(text, facts, going_on))
    page = _page(text, Place(offset, cursor), count, total, limit=count)
    if page.after is None:
        return View(page.text, {"kind": "text", "content": page.text})
    left = count if page.after.cursor is not None else max(1, end - page.after.line + 1)
    return _cut(page.text, page, text, offset, total, left)


def _unlimited(text: str, offset: int, cursor: int, count: int, total: int) -> View:
    if count <= MOST_LINES and _size(text) <= MOST_BYTES:
        return View(text, {"kind": "text", "content": text})
    taken, last, first = "", None, None
    for number, page in enumerate(_pages(text, Place(offset, cursor), total)):
        joined = taken + page.text
        told = "" if page.after is None else _notice(page.after)
        if number and (number == MOST_PAGES or units(joined + told) > MOST):
            break
        taken, last, first = joined, page, first or page
        if page.after is None:
            return View(taken, {"kind": "text", "content": taken})
        if page.after.cursor is None:
            taken += "\n"
    assert last is not None
    assert first is not None
    content = taken.removesuffix("\n") if last.after is not None and last.after.cursor is None else taken
    return _cut(content, first._replace(after=last.after, by=first.by), text, offset, total)


def _pages(text: str, place: Place, total: int) -> Iterator[_Page]:
    rest = text
    while True:
        page = _page(rest, place, rest.count("\n") + (not rest.endswith("\n")), total)
        yield page
        if page.after is None:
            return
        rest = rest[len(page.text) :]
        if page.after.cursor is None:
            rest = rest[1:]
        place = page.after


def _page(text: str, place: Place, count: int, total: int, limit: int | None = None) -> _Page:
    """Return as many whole lines as fit, or the beginning of the first one."""
    room = MOST_BYTES
    if count <= MOST_LINES and _size(text) <= room:
        return _Page(text, None, "", room)
    first = text.partition("\n")[0]
    begun = place.cursor or 0
    ahead = (Place(place.line, begun + units(first)), Place(total + 1))
    room -= max(_size(_notice(guess, limit)) for guess in ahead)
    used = fitting = 0
    rows = text.split("\n", MOST_LINES)[:MOST_LINES]
    for row in rows:
        used += _size(row) + (1 if fitting else 0)
        if used > room:
            break
        fitting += 1
    if fitting:
        by = "lines" if fitting == MOST_LINES else "bytes"
        return _Page("\n".join(rows[:fitting]), Place(place.line + fitting), by, room)
    head = first.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore")
    return _Page(head, Place(place.line, begun + units(head)), "bytes", room)


def _notice(after: Place, limit: int | None = None) -> str:
    cursor = "" if after.cursor is None else f", cursor={after.cursor}"
    more = "" if limit is None else f", limit={limit}"
    return f"\n\n[Read output capped at 128KB for this call. Use offset={after.line}{cursor}{more} to continue.]"


def _cut(content: str, page: _Page, whole: str, offset: int, total: int, limit: int | None = None) -> View:
    after = page.after
    assert after is not None
    facts = _facts(
        page.by, total, _size(whole), after.line - offset, _size(content), MOST_LINES, min(page.room, _size(whole))
    )
    going_on: dict[str, Any] = {"kind": "line", "offset": after.line}
    if after.cursor is not None:
        going_on = {"kind": "cursor", "offset": after.line, "cursor": after.cursor}
        facts["lastLinePartial"] = True
    if limit is not None:
        going_on["limit"] = limit
    return View(content + _notice(after, limit), _truncated(content, facts, going_on))


def _facts(by: str, lines: int, size: int, given: int, given_size: int, most: int, room: int) -> dict[str, Any]:
    return {
        "truncated": True,
        "truncatedBy": by,
        "totalLines": lines,
        "totalBytes": size,
        "outputLines": given,
        "outputBytes": given_size,
        "lastLinePartial": False,
        "firstLineExceedsLimit": False,
        "maxLines": most,
        "maxBytes": room,
    }


def _truncated(content: str, facts: dict[str, Any], going_on: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "truncated", "content": content, "truncation": facts, "continuation": going_on}


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(shown(text).encode())
