"""`write` of a gateway session: puts a whole file in place, in one step (see `files`)."""

from typing import Any, Final

import trio
from attrs import define

from runtime.ports import ToolContext
from runtime.tools import edit, linediff, text
from runtime.tools.claw import arguments, declarations, diffs, paths, results
from runtime.tools.claw.paths import ModeOf
from runtime.tools.faults import TEXTS, Fault, Strayed
from runtime.vocab import JsonObject, ToolResult, ToolSpec

LARGE: Final = 1 << 16
"""Characters from which on the change is worked out in a thread."""


@define(eq=False)
class Write:
    """The tool `write`."""

    mode_of: ModeOf
    spec: ToolSpec = declarations.WRITE

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Write the file and return what changed."""
        given = arguments.mended(self.spec, args)
        if (found := arguments.empty(given, "path")) is not None:
            return results.refused(self.spec.name, found, "invalid_tool_params")
        inside = paths.confined(context.session, context, self.mode_of)
        roots = paths.reach(context, inside=inside)
        content = text.shown(given["content"])
        try:
            path = paths.resolved(given["path"], roots)
            name = path if inside else given["path"]
            old = await edit.content_of(path, roots)
            before = None if old is None else whole(old)
            if before == content:
                told = f"No changes made to {name}. The file already has identical content."
                return results.done(told, {"changed": False})
            await edit.put(path, content.encode(), roots)
        except (paths.Outside, Strayed) as exc:
            return results.refused(self.spec.name, str(exc), "path_not_in_workspace")
        except Fault as exc:
            told = f"{exc.name}: {TEXTS[exc.name]}, open '{path}'" if exc.name == "EISDIR" else str(exc)
            return results.refused(
                self.spec.name, told, "no_space_left" if exc.name in edit.FULL else "execution_failed"
            )
        details, added, removed = await changed(name, before, content)
        told = f"Successfully wrote {len(content.encode())} bytes to {name}"
        return ToolResult(told, display=told, added=added, removed=removed, details=details)


def whole(old: text.Text) -> str:
    """Return the text of a file with its mark, as the bytes have it."""
    return "\ufeff" + old.text if old.mark and old.codec == "utf-8" else old.text


async def changed(name: str, before: str | None, after: str) -> tuple[dict[str, Any], int, int]:
    """Return the details of a written file, and how many lines were added and removed."""

    def work() -> tuple[dict[str, Any], int, int]:
        old = before or ""
        facts = {} if text.shown(old) != old or "\0" in old else diffs.details(name, old, after)
        return {"changed": True, "created": before is None, **facts}, *linediff.counts(old, after)

    return await trio.to_thread.run_sync(work) if len(before or "") + len(after) > LARGE else work()
