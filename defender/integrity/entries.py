"""What is known of a file, and how two looks at it differ. Pure.

Only what an attack changes is drift. Times and inodes say that a file may have changed and must be read again; by
themselves they say nothing, because a backup or `touch` changes them too.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from attrs import frozen

from defender.findings import Signal
from runtime.vocab import Decision


class Group(Enum):
    """What a watched path is for. What drift of it means: `DECISIONS`."""

    CONFIG = "config"
    POLICY = "policy"
    PROMPTS = "prompts"
    SKILLS = "skills"
    PLUGINS = "plugins"
    CODE = "code"
    INTERPRETER = "interpreter"
    PACKAGES = "packages"
    LIBRARIES = "libraries"
    STARTUP = "startup"
    ENVIRONMENT = "environment"
    LOADED = "loaded"


DECISIONS: Final[Mapping[Group, Decision]] = {
    Group.CONFIG: Decision.REVIEW,
    Group.POLICY: Decision.BLOCK,
    Group.PROMPTS: Decision.REVIEW,
    Group.SKILLS: Decision.REVIEW,
    Group.PLUGINS: Decision.REVIEW,
    Group.CODE: Decision.BLOCK,
    Group.INTERPRETER: Decision.BLOCK,
    Group.PACKAGES: Decision.REVIEW,
    Group.LIBRARIES: Decision.REVIEW,
    Group.STARTUP: Decision.BLOCK,
    Group.ENVIRONMENT: Decision.REVIEW,
    Group.LOADED: Decision.BLOCK,
}
"""What drift of each group demands. LIBRARIES: an update of the system changes them, and root may do that."""
INSTALLED: Final = frozenset({Group.CODE, Group.INTERPRETER, Group.PACKAGES, Group.LIBRARIES})
"""What an upgrade changes."""
SHARED: Final = frozenset({Group.CODE, Group.INTERPRETER, Group.PACKAGES, Group.LIBRARIES, Group.STARTUP})
"""Where a second name (hard link) is no drift: installers share files between environments by links."""
FIRST: Final = frozenset(
    {Group.CONFIG, Group.POLICY, Group.PROMPTS, Group.SKILLS, Group.PLUGINS, Group.CODE, Group.STARTUP}
)
"""What is looked at at a start, by its status only; all else follows while the program runs."""
STARTUP_NAMES: Final = ("sitecustomize.py", "usercustomize.py", "sitecustomize", "usercustomize")
"""What Python runs by itself at a start, beside files that end with `.pth`."""


@frozen
class Root:
    """A watched path: a file or a link, or a folder with all that is in it."""

    path: str
    group: Group


@frozen
class Entry:
    """What one look at a path found.

    `kind` is `file`, `folder`, `link`, `other` or `absent`; `sha256` is that of a file's content, or `unsteady` where
    it changed while it was read three times, or `unreadable`. `sign` is what a cheap look compares: inode, size, times.
    """

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    links: int = 1
    size: int = 0
    target: str = ""
    sha256: str = ""
    xattrs: str = ""
    sign: tuple[int, ...] = ()

    @property
    def plain(self) -> list[Any]:
        """The entry as JSON keeps it."""
        return [
            self.kind, self.mode, self.uid, self.gid, self.links, self.size, self.target, self.sha256, self.xattrs,
            list(self.sign),
        ]  # fmt: skip

    @classmethod
    def of(cls, plain: list[Any]) -> "Entry":
        """Read an entry back. Raises TypeError and ValueError for what is none."""
        kind, mode, uid, gid, links, size, target, name, xattrs, sign = plain
        return cls(str(kind), int(mode), int(uid), int(gid), int(links), int(size), str(target), str(name), str(xattrs),
                   tuple(int(one) for one in sign))  # fmt: skip


ABSENT: Final = Entry("absent")


@frozen
class Change:
    """One drift: the path (or name), what it is for, and in words what is different."""

    path: str
    group: Group
    what: str

    @property
    def text(self) -> str:
        """The drift as a sentence."""
        return f"{self.path}: {self.what}"


def group_of(path: str, group: Group) -> Group:
    """Return what a path is for: what Python runs at a start counts as that, wherever it lies among packages."""
    name = path.rpartition("/")[2]
    starts = name.endswith(".pth") or name in STARTUP_NAMES
    return Group.STARTUP if starts and group in (Group.PACKAGES, Group.INTERPRETER) else group


def differences(before: Entry, now: Entry, group: Group) -> Iterator[str]:
    """Say in words what is different."""
    if before.kind != now.kind:
        yield _kinds(before.kind, now.kind)
        return
    if before.target != now.target:
        yield f"now points to {now.target}, not to {before.target}"
    if before.sha256 != now.sha256:
        words = {"unsteady": "changes while it is read", "unreadable": "cannot be read any more"}
        yield words.get(now.sha256, f"content changed ({before.size} to {now.size} bytes)")
    if before.kind != "link" and before.mode != now.mode:
        yield f"mode changed from {before.mode:04o} to {now.mode:04o}"
    if (before.uid, before.gid) != (now.uid, now.gid):
        yield f"owner changed from {before.uid}:{before.gid} to {now.uid}:{now.gid}"
    if before.kind == "file" and before.links != now.links and group not in SHARED:
        yield f"has {now.links} names (hard links), not {before.links}"
    if before.xattrs != now.xattrs:
        yield "extended attributes (capabilities, labels) changed"


def _kinds(before: str, now: str) -> str:
    if before == "absent":
        return f"was added ({now})"
    return "was removed" if now == "absent" else f"was a {before} and is a {now}"


def compared(before: Mapping[str, Entry], now: Mapping[str, Entry], groups: Mapping[str, Group]) -> Iterator[Change]:
    """Yield every drift between two looks, in the order of paths."""
    for path in sorted(before.keys() | now.keys()):
        group = groups[path]
        for what in differences(before.get(path, ABSENT), now.get(path, ABSENT), group):
            yield Change(path, group, what)


def signal(change: Change, decisions: Mapping[Group, Decision]) -> Signal:
    """Return what a drift says to the engine."""
    floor = decisions.get(change.group, Decision.REVIEW)
    risk = {Decision.ALLOW: 0.2, Decision.REVIEW: 0.6, Decision.BLOCK: 0.95}[floor]
    return Signal(f"integrity.{change.group.value}", risk, change.text, floor=floor)
