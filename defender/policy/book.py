"""The policy that is in force, and how another one takes its place: whole, or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import define, field

from defender.policy.model import Policy
from defender.policy.reading import LARGEST, PolicyError, parsed
from defender.policy.signing import verified

BUILT_IN: Final = Policy()


@define(eq=False)
class PolicyBook:
    """Where a process finds its policy: `path` (None: only the built-in one), `keys` that are pinned.

    Where `path` names no file the built-in policy holds, unless `wanted`, which says that somebody asked for this file,
    or keys are pinned: what was signed must not be got rid of by deleting it.
    """

    path: Path | None = None
    keys: tuple[bytes, ...] = ()
    wanted: bool = False
    current: Policy = BUILT_IN
    signer: str = ""
    heard: list[Callable[[Policy], None]] = field(factory=list)

    def reload(self) -> Policy:
        """Read the bundle and put it into force. Raises PolicyError, and then the old one stays."""
        fresh, signer = self._read()
        if fresh.serial < self.current.serial:
            raise PolicyError(
                f"{self.path}: serial is {fresh.serial}, but edition {self.current.serial} is in force; "
                "an older policy is not taken over while this runs"
            )
        self.current, self.signer = fresh, signer
        for heard in tuple(self.heard):
            heard(fresh)
        return fresh

    def _read(self) -> tuple[Policy, str]:
        if self.path is None:
            return BUILT_IN, ""
        data = contents(self.path)
        if data is None:
            if self.wanted or self.keys:
                raise PolicyError(f"{self.path}: there is no such policy")
            return BUILT_IN, ""
        signer = verified(data, self.keys, str(self.path)) if self.keys else ""
        return parsed(data, str(self.path)), signer


def contents(path: Path) -> bytes | None:
    """Return the bytes of a bundle, at most LARGEST + 1, or None where there is no file. Raises PolicyError.

    A file that others may write is refused: who can change it could change what is allowed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise PolicyError(f"{path}: cannot be read: {exc.strerror}") from exc
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise PolicyError(f"{path}: is not a file")
        if about.st_mode & 0o022:
            raise PolicyError(f"{path}: others may write it (mode {stat.S_IMODE(about.st_mode):04o}); chmod go-w it")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST + 1)
    except OSError as exc:
        raise PolicyError(f"{path}: cannot be read: {exc.strerror}") from exc
    finally:
        os.close(descriptor)
