"""Texts that an editor can open: the listing, as a file and by a reference, and the conversation of each session."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define

from debugger.dap import requests as r
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.listing import KINDS, NAME, TEXT
from debugger.dap.threads import name_of
from debugger.repl import render
from debugger.repl.forms import Asked

LISTING: Final = 1
"""The reference of the listing."""
CONVERSATION: Final = 1_000
"""References of conversations begin here; the number of the thread is added."""
MIME: Final = "text/plain"
ROWS: Final = 1_000
"""Messages of a conversation that are shown, counted from its end."""


def written(folder: Path) -> Mapping[str, Any]:
    """Write the listing, and return it as a source: by its path, or where it cannot be written by its reference."""
    path = folder / NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != TEXT:
            unfinished = path.with_name(f".{NAME}.{os.getpid()}")
            unfinished.write_text(TEXT, "utf-8")
            unfinished.replace(path)
    except (OSError, ValueError):
        return {"name": NAME, "sourceReference": LISTING}
    return {"name": NAME, "path": str(path)}


@define(eq=False)
class Sources:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {"source": self.source, "loadedSources": self.loaded, "breakpointLocations": self.locations}

    def is_listing(self, source: r.Source) -> bool:
        """Whether a source is the listing, by whatever an editor names it."""
        path = self.debuggee.listing.get("path")
        if source.source_reference:
            return source.source_reference == LISTING
        if not source.path or not path:
            return NAME in (source.path, source.path or source.name)
        return os.path.realpath(source.path) == os.path.realpath(str(path))

    async def source(self, call: Call, args: r.SourceContent) -> Mapping[str, Any]:
        """The text of a source."""
        source = args.source or r.Source(source_reference=args.source_reference)
        number = source.source_reference or args.source_reference
        if number >= CONVERSATION:
            return {"content": await self._conversation(number - CONVERSATION), "mimeType": MIME}
        await trio.lowlevel.checkpoint()
        if number == LISTING or self.is_listing(source):
            return {"content": TEXT, "mimeType": MIME}
        raise Refused(f"there is no source {source.path or source.name or number}")

    async def _conversation(self, number: int) -> str:
        thread = self.debuggee.threads.get(number)
        asked = Asked("history", {"session": thread.session, "start": -ROWS, "count": ROWS}, "list")
        result = await self.debuggee.ask(asked.command, asked.params)
        lines: Sequence[str] = render.answer(asked, result, self.debuggee.threads.place)
        return "".join(f"{one}\n" for one in lines) or "nothing was said yet\n"

    async def loaded(self, call: Call, args: r.Nothing) -> Mapping[str, Any]:
        """The listing first, then the conversations."""
        await trio.lowlevel.checkpoint()
        threads = self.debuggee.threads
        rows = [
            {"name": f"conversation {name_of(threads.standing(one))}", "sourceReference": CONVERSATION + one.id}
            for one in threads
        ]
        return {"sources": [self.debuggee.listing, *rows]}

    async def locations(self, call: Call, args: r.Locations) -> Mapping[str, Any]:
        """The lines that name steps."""
        await trio.lowlevel.checkpoint()
        if not self.is_listing(args.source):
            return {"breakpoints": []}
        first = 1 if self.debuggee.editor.lines_start_at1 else 0
        begin = args.line + 1 - first
        end = begin if args.end_line is None else args.end_line + 1 - first
        return {"breakpoints": [{"line": line - 1 + first} for line in KINDS if begin <= line <= end]}
