"""The files of an agent's workspace that its model is told, as agents.files.* read and write them. Blocks: for threads.

Rules: only the names in NAMES; what such a name leads to has to be an ordinary file in the workspace, also where it is
a link; nothing above MOST bytes is read or written; a file is replaced whole or not at all.
"""

import os
import stat
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from runtime.gateway.frames import GatewayError, invalid

NAMES: Final = ("AGENTS.md", "SOUL.md", "USER.md", "MEMORY.md", "IDENTITY.md", "TOOLS.md")
"""Files that an agent may have; its model is told them in an order of its own."""
LISTED: Final = NAMES[:4]
"""Those that are listed whether they are there or not."""
MOST: Final = 1_048_576


def listed(workspace: Path) -> list[dict[str, Any]]:
    """Return a row for each file."""
    rows = [described(workspace, name) for name in NAMES]
    return [row for row in rows if row["name"] in LISTED or not row["missing"]]


def described(workspace: Path, name: str) -> dict[str, Any]:
    """Return what is known of a file without reading it."""
    try:
        info = os.stat(place(workspace, name))
    except (OSError, GatewayError):
        return missing(workspace, name)
    return present(workspace, name, info) if stat.S_ISREG(info.st_mode) else missing(workspace, name)


def content(workspace: Path, name: str) -> dict[str, Any]:
    """Return a file with its text. Raises GatewayError for one that may not be read."""
    try:
        handle = os.open(place(workspace, checked(name)), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return missing(workspace, name)
    except OSError as exc:
        raise unusable(name, exc) from exc
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise invalid(f'unsafe workspace file "{name}"')
        with open(handle, "rb", closefd=False) as file:
            body = file.read(MOST + 1)
    finally:
        os.close(handle)
    if len(body) > MOST:
        raise invalid(f'workspace file "{name}" is larger than {MOST} bytes')
    return filled(workspace, name, info, body)


def write(workspace: Path, name: str, text: str, expected: str | None = None) -> dict[str, Any]:
    """Replace a file, if its hash is still the `expected` one. Raises GatewayError for one that may not be written."""
    body = text.encode("utf-8", "replace")
    if len(body) > MOST:
        raise invalid(f'workspace file "{checked(name)}" would be larger than {MOST} bytes')
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        target = place(workspace, checked(name))
        if target.exists() and not target.is_file():
            raise invalid(f'unsafe workspace file "{name}"')
        if expected is not None and (now := content(workspace, name).get("hash")) != expected:
            details = {"type": "agent_file_conflict", "name": name, "currentHash": now}
            raise invalid(f'agent file "{name}" changed since it was read', details)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        handle, passing = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                os.fchmod(handle, mode)
                file.flush()
                os.fsync(handle)
            os.replace(passing, target)
        except BaseException:
            Path(passing).unlink(missing_ok=True)
            raise
        return filled(workspace, name, target.stat(), body)
    except OSError as exc:
        raise unusable(name, exc) from exc


def checked(name: str) -> str:
    """Return a name that an agent's file may have. Raises GatewayError for others."""
    if name not in NAMES:
        raise invalid(f'unsupported file "{name}"')
    return name


def place(workspace: Path, name: str) -> Path:
    """Return where a file really is, links followed. Raises GatewayError outside of the workspace."""
    root = os.path.realpath(workspace)
    path = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath((root, path)) != root:
        raise invalid(f'unsafe workspace file "{name}"')
    return Path(path)


def present(workspace: Path, name: str, info: os.stat_result) -> dict[str, Any]:
    """Return the row of a file that is there."""
    return {
        "name": name,
        "path": str(workspace / name),
        "missing": False,
        "size": info.st_size,
        "updatedAtMs": info.st_mtime_ns // 1_000_000,
    }


def missing(workspace: Path, name: str) -> dict[str, Any]:
    """Return the row of a file that is not there. Only of the first one a workspace is expected to have it."""
    return {"name": name, "path": str(workspace / name), "missing": True, "expectedAbsent": name != NAMES[0]}


def filled(workspace: Path, name: str, info: os.stat_result, body: bytes) -> dict[str, Any]:
    """Return the row of a file with its text."""
    row = present(workspace, name, info) | {"size": len(body), "hash": sha256(body).hexdigest()}
    return row | {"content": body.decode("utf-8", "replace")}


def unusable(name: str, exc: OSError) -> GatewayError:
    """Return the refusal of a file that the system refuses."""
    return invalid(f'workspace file "{name}" cannot be used: {exc.strerror}')


def is_git(workspace: Path) -> bool:
    """Whether a workspace is a working tree of git."""
    return (workspace / ".git").exists()
