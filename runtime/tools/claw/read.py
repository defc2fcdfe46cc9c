"""`read` of a gateway session: a text file or a part of it, or an image. Writes nothing.

The values of what looks secret in `.env` files are not shown.
"""

import os
import re
from typing import Any, Final

import trio
from attrs import define

from runtime.ports import ToolContext
from runtime.tools import files, text
from runtime.tools.claw import arguments, declarations, pages, paths, results
from runtime.tools.claw.paths import ModeOf
from runtime.tools.faults import Fault, Strayed
from runtime.tools.registry import distance
from runtime.tools.workspace import Reach
from runtime.vocab import JsonObject, ToolResult, ToolSpec

LARGEST: Final = 20 << 20
LARGE: Final = 1 << 18
"""Bytes from which on a file is read in a thread."""
NEIGHBOURS: Final = 3
MOST_NEIGHBOURS: Final = 2_000
"""Names that are compared with one that is not there."""

IMAGES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "image/bmp"),
)
SECRETS: Final = re.compile(r"(?:^|/)(?:\.env(?:\.[^/]+)?|[^/]+\.env)$", re.IGNORECASE)
SECRET: Final = re.compile(
    r"(?im)^([ \t]*(?:export[ \t]+)?\w*(?:KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|PRIVATE)\w*[ \t]*=[ \t]*)[^\s].*$"
)


@define(eq=False)
class Read:
    """The tool `read`."""

    mode_of: ModeOf
    spec: ToolSpec = declarations.READ

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Return the content, or what stood in the way."""
        given = arguments.mended(self.spec, args)
        if (found := arguments.empty(given, "path")) is not None:
            return results.refused(self.spec.name, found, "invalid_tool_params")
        name = given["path"]
        inside = paths.confined(context.session, context, self.mode_of)
        roots = paths.reach(context, inside=inside)
        try:
            path = paths.resolved(name, roots)
            content = await _bytes(path, roots)
        except (paths.Outside, Strayed) as exc:
            return results.refused(self.spec.name, str(exc), "path_not_in_workspace")
        except Fault as exc:
            if given.get("optional") and exc.name in ("ENOENT", "ENOTDIR"):
                facts = {"kind": "not_found", "status": "not_found", "path": name, "optional": True}
                return results.done(f"Optional file not found: {name}.", facts)
            return results.refused(self.spec.name, _told(exc, path, name))
        return _presented(content, path, given)


async def _bytes(path: str, roots: Reach) -> bytes:
    try:
        large = os.stat(path).st_size > LARGE
    except OSError:
        large = False
    if large:
        content = await trio.to_thread.run_sync(files.read, path, roots, LARGEST)
    else:
        content = files.read(path, roots, LARGEST)
    if len(content) > LARGEST:
        raise Fault("EFBIG", f"File is larger than {LARGEST >> 20} MB: {path}. Use exec to look at parts of it.")
    return content


def _told(exc: Fault, path: str, name: str) -> str:
    match exc.name:
        case "EISDIR":
            return (
                f"Read requires a file path, but {name} is a directory. List the directory, then read a specific file."
            )
        case "ENOENT" | "ENOTDIR":
            near = neighbours(path)
            return f"File not found: {path}." + (f" Did you mean: {', '.join(near)}?" if near else "")
        case "EINVAL":
            return "path must be a regular file"
    return str(exc)


def neighbours(path: str) -> list[str]:
    """Return names in the same folder that are nearly the one that is not there."""
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry, _ in zip(found, range(MOST_NEIGHBOURS), strict=False)]
    except OSError:
        return []
    allowed = max(1, round(len(name) * 0.4))
    close = [other for other in names if abs(len(other) - len(name)) <= allowed]
    apart = sorted((distance(name.lower(), other.lower()), other) for other in close)
    return [other for steps, other in apart if steps <= allowed][:NEIGHBOURS]


def _presented(content: bytes, path: str, args: dict[str, Any]) -> ToolResult:
    kind = next((mime for magic, mime in IMAGES if magic.match(content)), None)
    if kind is not None:
        return _image(content, kind)
    shown = masked(text.shown(text.decode(content).text).replace("\r\n", "\n"), path)
    limit = args.get("limit")
    view = pages.view(
        shown,
        len(content),
        int(args.get("offset", 1)),
        None if limit is None else int(limit),
        max(0, int(args.get("cursor", 0))),
    )
    return ToolResult(view.text, display=view.text, details=view.details)


def masked(content: str, path: str) -> str:
    """Return the content of a file of settings without the values of its secrets."""
    return SECRET.sub(r"\1***", content) if SECRETS.search(path) else content


def _image(content: bytes, kind: str) -> ToolResult:
    from base64 import b64encode

    told = f"Read image file [{kind}]"
    data = b64encode(content).decode("ascii")
    return ToolResult(
        told,
        display=told,
        parts=({"inlineData": {"mimeType": kind, "data": data}},),
        details={"kind": "image", "content": told, "mimeType": kind},
    )
