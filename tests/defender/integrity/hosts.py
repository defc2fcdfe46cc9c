"""A small host below a folder: settings, prompts, code, packages and an interpreter, all of them only files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define

from defender.integrity import checking
from defender.integrity.baseline import Baseline, Places, save
from defender.integrity.checking import Drift
from defender.integrity.entries import Group, Root
from defender.integrity.watch import Watch

AT = 1_763_622_000_000
FILES = {
    "home/settings.json": "{}",
    "home/GEMINI.md": "Be kind.",
    "home/policy/rules.toml": "x = 1",
    "home/skills/sum/SKILL.md": "Add.",
    "code/runtime/__init__.py": "",
    "code/runtime/judge.py": "def judge():\n    return False\n",
    "site/httpx/__init__.py": "x = 1\n",
    "site/shared.pth": "/somewhere\n",
    "lib/os.py": "y = 1\n",
}
GROUPS = {
    "home/settings.json": Group.CONFIG,
    "home/.env": Group.CONFIG,
    "home/GEMINI.md": Group.PROMPTS,
    "home/policy": Group.POLICY,
    "home/skills": Group.SKILLS,
    "code/runtime": Group.CODE,
    "site": Group.PACKAGES,
    "lib": Group.INTERPRETER,
}


@define
class Hand:
    """A clock that somebody moves. `at` is in nanoseconds."""

    at: int = 1

    def wall(self) -> int:
        """Always the same moment."""
        return AT

    def mono(self) -> int:
        """Where the hand is."""
        return self.at

    def later(self, seconds: float = 1.0) -> None:
        """Move it."""
        self.at += int(seconds * 1e9)


@define(eq=False)
class Host:
    """The host and its baseline."""

    base: Path
    baseline: Baseline

    @property
    def places(self) -> Places:
        """Where the baseline lies."""
        return Places(str(self.base / "state"), str(self.base / "anchor"))

    def path(self, name: str) -> Path:
        """A file of the host."""
        return self.base / "host" / name

    def drift(self, environ: Mapping[str, str] | None = None) -> Drift:
        """What a whole look finds."""
        now = checking.made(self.baseline.roots, environ or {}, AT, 2)
        return checking.drift(self.baseline, now, checking.byte_code(now, self.baseline.codes))

    def changes(self) -> list[tuple[str, str]]:
        """What a whole look finds, by names below the host."""
        start = f"{self.base / 'host'}/"
        return [(one.path.removeprefix(start), one.what) for one in self.drift().changes]

    def watch(self, **options: Any) -> Watch:
        """A watch over this host, not begun, that knows no modules."""
        options.setdefault("clock", Hand())
        options.setdefault("environ", {})
        return Watch(self.places, share=1, modules={}, **options)


def host(base: Path, environ: Mapping[str, str] | None = None) -> Host:
    """Make a host, and its baseline."""
    for name, text in FILES.items():
        path = base / "host" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    roots = tuple(Root(str(base / "host" / name), group) for name, group in GROUPS.items())
    made = Host(base, checking.made(roots, environ or {}, AT))
    save(made.places, made.baseline)
    return made
