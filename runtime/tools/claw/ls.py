"""`ls` of a gateway session: the names in a folder, a page at a time. Goes into no folder, opens no file."""

import json
import os
from typing import Final

import trio
from attrs import define

from runtime.ports import ToolContext
from runtime.tools.claw import arguments, declarations, paths, results
from runtime.tools.claw.paths import ModeOf
from runtime.tools.faults import Fault, fault
from runtime.tools.text import shown
from runtime.vocab import JsonObject, ToolResult, ToolSpec

MOST: Final = 500
MOST_BYTES: Final = 51_200
EMPTY: Final = "(empty directory)"


@define(eq=False)
class Ls:
    """The tool `ls`."""

    mode_of: ModeOf
    spec: ToolSpec = declarations.LS

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """List the folder."""
        given = arguments.mended(self.spec, args)
        roots = paths.reach(context, inside=paths.confined(context.session, context, self.mode_of))
        try:
            path = paths.resolved(given.get("path") or ".", roots)
            names = await trio.to_thread.run_sync(_names, path)
        except paths.Outside as exc:
            return results.refused(self.spec.name, str(exc), "path_not_in_workspace")
        except Fault as exc:
            return results.refused(self.spec.name, str(exc))
        after = given.get("after")
        left = [(name, folder) for name, folder in names if after is None or _order(name) > _order(after)]
        text, last = listed(left, max(1, int(given.get("limit", MOST))))
        details = {"content": text} if last is None else {"content": text, "nextAfter": last}
        return results.done(text, details)


def listed(names: list[tuple[str, bool]], limit: int) -> tuple[str, str | None]:
    """Return the page, and the name after which to go on, if there is more."""
    if not names:
        return EMPTY, None
    rows: list[str] = []
    room = MOST_BYTES
    for name, folder in names[:limit]:
        row = json.dumps(shown(name) + "/" * folder, ensure_ascii=False)
        room -= len(row.encode()) + 1
        if room < 0:
            break
        rows.append(row)
    if len(rows) == len(names):
        return "\n".join(rows), None
    while len(rows) > 1:
        text = _page(rows, names[len(rows) - 1][0])
        if len(text.encode()) <= MOST_BYTES:
            break
        rows.pop()
    last = shown(names[len(rows) - 1][0])
    return _page(rows, last), last


def _page(rows: list[str], last: str) -> str:
    going_on = json.dumps(shown(last), ensure_ascii=False)
    return "\n".join(rows) + f"\n\n[More entries. Continue with the same path and after={going_on}.]"


def _names(path: str) -> list[tuple[str, bool]]:
    try:
        with os.scandir(path) as found:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError as exc:
        raise fault(exc, "scandir", path) from exc
    return sorted(names, key=lambda row: _order(row[0]))


def _order(name: str) -> bytes:
    """Order as JavaScript does, by UTF-16 code units."""
    return name.encode("utf-16-be", "surrogatepass")
