"""A copy of the folder that a session works in, for a session that was copied. Refuses what is too large.

It is made in a thread, beside the folder itself. It is the folder of now: what tools did since some record is in it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from re import sub
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG
from typing import Final

import trio
from attrs import define, field, frozen

from runtime.errors import InputError

MOST_FILES: Final = 20_000
MOST_BYTES: Final = 1 << 30
"""What a folder that is copied may have in it."""
TELL_BYTES: Final = 16 << 20
TELL_FILES: Final = 500
"""How much is copied between two words about how far it is."""

Heard = Callable[[int, int], None]
"""Takes how many bytes were copied, and of how many."""


@frozen
class Limits:
    """How many files and bytes are copied at most."""

    files: int = MOST_FILES
    bytes: int = MOST_BYTES


async def copied(
    folder: Path, name: str, heard: Heard = lambda done, total: None, limits: Limits | None = None
) -> Path:
    """Copy a folder beside itself for session `name` and return where it is now. Links stay as they are; what is no
    file, folder or link is left out.

    Raises InputError where it is too large, is there already, or cannot be read or written. Then, and where it is
    cancelled, nothing is left of the copy.
    """
    if not folder.name:
        raise InputError(f"workspace: {folder} cannot be copied beside itself; the sessions can share it.")
    target = folder.with_name(f"{folder.name}-{sub('[^A-Za-z0-9._-]+', '-', name).strip('.') or 'copy'}")
    copy = _Copy(folder, target, heard, limits or Limits())
    return await trio.to_thread.run_sync(copy.run)


@define(eq=False)
class _Copy:
    """One copy under way, in its thread."""

    folder: Path
    target: Path
    heard: Heard
    limits: Limits
    done: int = 0
    told: int = 0
    files: int = 0
    folders: list[tuple[Path, int]] = field(factory=list)

    def run(self) -> Path:
        """Look whether it may be copied, and do it."""
        try:
            total = self._total()
            self.target.mkdir(mode=0o700)
        except FileExistsError as exc:
            raise InputError(f"workspace: {self.target} is there already, so the folder is not copied there.") from exc
        except OSError as exc:
            raise _unusable(exc) from exc
        try:
            for entry, mode in self._entries():
                self._copy(entry, mode, total)
            for made, mode in reversed(self.folders):  # until here they can be written to, and by nobody else
                made.chmod(S_IMODE(mode) & 0o777 | 0o700)
            shutil.copystat(self.folder, self.target)
        except OSError as exc:
            shutil.rmtree(self.target, ignore_errors=True)
            raise _unusable(exc) from exc
        except BaseException:
            shutil.rmtree(self.target, ignore_errors=True)
            raise
        trio.from_thread.run_sync(self.heard, total, total)
        return self.target

    def _total(self) -> int:
        """Return the bytes of all files. Raises InputError where they, or the files, are too many."""
        size = 0
        for files, (entry, mode) in enumerate(self._entries(), 1):
            size += entry.lstat().st_size if S_ISREG(mode) else 0
            self._bound(files, size)
        return size

    def _bound(self, files: int, size: int) -> None:
        if files > self.limits.files or size > self.limits.bytes:
            raise InputError(
                f"workspace: {self.folder} has more than {self.limits.files:,} files or "
                f"{self.limits.bytes >> 20:,} MiB, so it is not copied; the sessions can share it."
            )

    def _entries(self) -> Iterator[tuple[Path, int]]:
        """What is in the folder, folders before what is in them, with its mode."""
        for place, folders, files in os.walk(self.folder, onerror=_raised):
            trio.from_thread.check_cancelled()
            for name in (*sorted(folders), *sorted(files)):
                entry = Path(place, name)
                try:
                    yield entry, entry.lstat().st_mode
                except FileNotFoundError:  # it is gone since it was listed
                    continue

    def _copy(self, entry: Path, mode: int, total: int) -> None:
        target = self.target / entry.relative_to(self.folder)
        if S_ISLNK(mode):
            target.symlink_to(entry.readlink())
        elif S_ISDIR(mode):
            target.mkdir(mode=0o700, exist_ok=True)
            self.folders.append((target, mode))
        elif S_ISREG(mode):
            shutil.copy2(entry, target, follow_symlinks=False)
            self.done += target.lstat().st_size
        self.files += 1
        self._bound(self.files, self.done)  # it may have grown since it was looked at
        if self.done - self.told >= TELL_BYTES or self.files % TELL_FILES == 0:
            self.told = self.done
            trio.from_thread.run_sync(self.heard, self.done, max(self.done, total))


def _raised(exc: OSError) -> None:
    raise exc


def _unusable(exc: OSError) -> InputError:
    return InputError(f"workspace: {exc.filename}: {exc.strerror}.")
