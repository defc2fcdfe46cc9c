"""What is watched on a machine, as a list of paths. Looks for no more than whether they are there.

A file that is not there is watched too: that it appears is drift. Files that the program itself writes all the time
(sessions, logs, memory of an agent) are not in the list.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from defender.integrity.entries import Group, Root

PACKAGES: Final = ("runtime", "debugger", "defender", "channels")
_GEMINI: Final = {
    Group.CONFIG: ("settings.json", "trustedFolders.json", ".env"),
    Group.PROMPTS: ("GEMINI.md", "system.md"),
    Group.SKILLS: ("skills", "commands", "agents"),
    Group.PLUGINS: ("extensions", "hooks"),
    Group.POLICY: ("policies",),
}
_OPENCLAW: Final = {
    Group.CONFIG: ("openclaw.json", ".env"),
    Group.SKILLS: ("skills",),
    Group.PLUGINS: ("extensions", "plugins"),
}
_WORKSPACE: Final = {Group.PROMPTS: ("AGENTS.md", "SOUL.md", "TOOLS.md"), Group.SKILLS: ("skills",)}
_POLICY: Final = "defender/policy.toml"
"""The defender's policy, in the state folders of headless runs and of the gateway."""
_SYSTEM: Final = ("/etc/gemini-cli/settings.json", "/etc/gemini-cli/system-defaults.json")


@frozen
class Python:
    """The interpreter that runs this: absolute paths. `site` are the folders of packages, `libraries` mapped files."""

    executable: str
    prefix: str
    standard: str
    site: tuple[str, ...]
    code: str
    libraries: tuple[str, ...] = ()


def this_python() -> Python:
    """Describe the interpreter of this process."""
    import runtime

    code = str(Path(runtime.__file__).resolve().parent.parent)
    standard = sysconfig.get_path("stdlib")
    site = dict.fromkeys(
        os.path.realpath(one)
        for one in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path)
        if one and os.path.isdir(one) and os.path.basename(one.rstrip("/")) in ("site-packages", "dist-packages")
    )
    return Python(sys.executable, sys.prefix, os.path.realpath(standard), tuple(site), code, _mapped())


def _mapped() -> tuple[str, ...]:
    """The shared libraries that this process has mapped, where the system tells (proc_pid_maps(5))."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            paths = {line.rstrip("\n").split(None, 5)[5] for line in maps if "/" in line and ".so" in line}
    except (OSError, IndexError):
        return ()
    return tuple(sorted(path for path in paths if path.startswith("/") and os.path.exists(path)))


def default(environ: Mapping[str, str], python: Python, *, state: str = "", workspace: str = "") -> tuple[Root, ...]:
    """Return what is watched: `state` and `workspace` are the gateway's folders (default: below the home)."""
    home = environ.get("HOME") or "/"
    state = state or f"{home}/.openclaw"
    workspace = workspace or f"{state}/workspace"
    own = f"{environ.get('XDG_STATE_HOME') or f'{home}/.local/state'}/twinstep"
    found = [
        *_below(f"{home}/.gemini", _GEMINI),
        *_below(state, _OPENCLAW),
        *_below(workspace, _WORKSPACE),
        *(Root(path, Group.CONFIG) for path in _SYSTEM),
        *(Root(f"{folder}/{_POLICY}", Group.POLICY) for folder in (own, state)),
        *_of_python(python),
    ]
    return tuple({root.path: root for root in reversed(found)}.values())[::-1]


def _below(folder: str, names: Mapping[Group, tuple[str, ...]]) -> Iterator[Root]:
    for group, known in names.items():
        for name in known:
            yield Root(f"{folder}/{name}", group)


def _of_python(python: Python) -> Iterator[Root]:
    for name in PACKAGES:
        yield Root(f"{python.code}/{name}", Group.CODE)
    yield Root(python.executable, Group.INTERPRETER)
    yield Root(os.path.realpath(python.executable), Group.INTERPRETER)
    yield Root(f"{python.prefix}/pyvenv.cfg", Group.INTERPRETER)
    for folder in python.site:  # they may lie inside the standard library's folder, and are not of it
        yield Root(folder, Group.PACKAGES)
    yield Root(python.standard, Group.INTERPRETER)
    inside = (python.standard, python.code, *python.site)
    for path in python.libraries:
        if not any(path.startswith(f"{folder}/") for folder in inside):
            yield Root(path, Group.LIBRARIES)
