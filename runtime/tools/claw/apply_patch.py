"""`apply_patch` of a gateway session: works out all changes of a patch first, then writes them.

Stays below the workspace unless the session's mode is `full`. A patch of which a part does not fit changes nothing.
"""

import os
from typing import Final

import trio
from attrs import define, field

from runtime.ports import ToolContext
from runtime.tools import edit, files, text
from runtime.tools.claw import arguments, declarations, patch, paths, results
from runtime.tools.claw.patch import BadPatch, Change
from runtime.tools.claw.paths import ModeOf
from runtime.tools.faults import Fault, Strayed
from runtime.tools.linediff import counts
from runtime.tools.workspace import Reach
from runtime.vocab import JsonObject, ToolResult, ToolSpec

NAMES: Final = (("added", "A"), ("modified", "M"), ("deleted", "D"))


@define(eq=False)
class ApplyPatch:
    """The tool `apply_patch`."""

    mode_of: ModeOf
    spec: ToolSpec = declarations.APPLY_PATCH

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Apply the patch and return which files it touched."""
        given = arguments.mended(self.spec, args)
        plan = _Plan(paths.reach(context, inside=self.mode_of(context.session) != paths.FREE))
        try:
            for change in patch.read(given["input"]):
                await plan.take(change)
            await plan.carry_out()
        except (paths.Outside, Strayed) as exc:
            return results.refused(self.spec.name, str(exc), "path_not_in_workspace")
        except BadPatch as exc:
            return results.refused(self.spec.name, str(exc), "invalid_tool_params")
        except Fault as exc:
            return results.refused(
                self.spec.name, str(exc), "no_space_left" if exc.name in edit.FULL else "execution_failed"
            )
        rows = [f"{sign} {path}" for kind, sign in NAMES for path in plan.summary[kind]]
        told = "Success. Updated the following files:\n" + "\n".join(rows)
        return ToolResult(told, display=told, added=plan.added, removed=plan.removed, details={"summary": plan.summary})


@define
class _Plan:
    """What a patch makes of the files: for each path its bytes, or None where it is to be deleted."""

    roots: Reach
    summary: dict[str, list[str]] = field(factory=lambda: {kind: [] for kind, _ in NAMES})
    added: int = 0
    removed: int = 0
    _files: dict[str, bytes | None] = field(factory=dict)

    async def take(self, change: Change) -> None:
        """Work out one change on top of those before it. Raises BadPatch, Fault and what `paths.resolved` does."""
        if not change.path:
            raise BadPatch("A file of the patch has no path.")
        path = paths.resolved(change.path, self.roots, itself=change.kind == "delete")
        match change.kind:
            case "add":
                await self._add(path, change)
            case "delete":
                await self._delete(path, change)
            case "update":
                await self._update(path, change)

    async def _add(self, path: str, change: Change) -> None:
        if await self._content(path) is not None:
            raise BadPatch(
                f'Cannot create {change.path}: the file already exists. Use "*** Update File: {change.path}" to change '
                "it, or delete it earlier in the same patch."
            )
        self._files[path] = text.encode(change.content)
        self._note("added", change.path, "", change.content)

    async def _delete(self, path: str, change: Change) -> None:
        old = text.Text("") if os.path.islink(path) else await self._content(path)
        if old is None:
            raise BadPatch("file not found")
        self._files[path] = None
        self._note("deleted", change.path, old.text, "")

    async def _update(self, path: str, change: Change) -> None:
        old = await self._content(path)
        if old is None:
            raise BadPatch(f"Failed to read file to update {path}: no such file")
        new = await trio.to_thread.run_sync(patch.updated, old.text, change.chunks, path)
        if change.moved is None:
            self._files[path] = old.encoded(new)
        else:
            other = paths.resolved(change.moved, self.roots)
            if other != path and await self._content(other) is not None:
                raise BadPatch(f"Cannot move {change.path} to {change.moved}: a file is there already.")
            self._files[path] = None
            self._files[other] = old.encoded(new)
        self._note("modified", change.moved or change.path, old.text, new)

    async def _content(self, path: str) -> text.Text | None:
        """Return what is in a file by now."""
        if path in self._files:
            content = self._files[path]
            return None if content is None else text.decode(content)
        if os.path.isdir(path):
            raise BadPatch(f"{path} is a directory, not a file")
        return await edit.content_of(path, self.roots)

    def _note(self, kind: str, path: str, before: str, after: str) -> None:
        added, removed = counts(before, after)
        self.added += added
        self.removed += removed
        if path not in self.summary[kind]:
            self.summary[kind].append(path)

    async def carry_out(self) -> None:
        """Write the files: what is new first, so that nothing is lost when a disk is full."""
        for path, content in self._files.items():
            if content is not None:
                await edit.put(path, content, self.roots)
        for path, content in self._files.items():
            if content is None:
                files.remove(path, self.roots)
