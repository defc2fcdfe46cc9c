"""The scratch folder of a project, `~/.gemini/tmp/<slug>` (AGENT_LOOP section 7), shared with Gemini CLI.

The slug is the folder's name in lower case with dashes; a second project of that name gets `-1`. Whose it is stands in
`.project_root`, which is made whole or not at all; `projects.json` is an index that can be built anew from these files.
So two processes that start at once agree without a lock. Refuses slugs that could lead elsewhere; deletes nothing.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from runtime.config import read_text
from runtime.errors import SettingsError

MARK: Final = ".project_root"
LARGEST_INDEX: Final = 16 << 20
LONGEST_PATH: Final = 1 << 16
MOST_NAMESAKES: Final = 10_000

_SLUG: Final = r"[a-z0-9-]+"


def scratch(gemini: Path, workspace: Path) -> Path:
    """Return the scratch folder of a workspace below the folder `gemini`; it and its entry are made where missing.

    Raises SettingsError where the folder cannot be made or its index not be written.
    """
    places = (gemini / "tmp", gemini / "history")
    try:
        index = _index(gemini / "projects.json")
        known = index["projects"].get(_named(workspace))
        slug = known if known and _may_own(known, workspace, places) else None
        slug = slug or _owned(workspace, places) or _claimed(workspace, index["projects"], places)
        _mark(places[0] / slug, workspace)
        if slug != known:
            index["projects"][_named(workspace)] = slug
            _replace(gemini / "projects.json", json.dumps(index, indent=2, ensure_ascii=False))
    except OSError as exc:
        where = exc.filename or gemini
        raise SettingsError(f"{where}: the folder for temporary files cannot be used: {exc.strerror}") from exc
    return places[0] / slug


def slug_of(name: str) -> str:
    """Return the first slug to try for a folder's name."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9]", "-", name.lower())).strip("-") or "project"


def _index(path: Path) -> dict[str, Any]:
    """Read `projects.json`. What is no entry is left out; an index that cannot be read is an empty one."""
    try:
        found = json.loads(read_text(path, LARGEST_INDEX) or "{}")
    except (OSError, ValueError, RecursionError):
        found = {}
    found = found if isinstance(found, dict) else {}
    projects = found.get("projects")
    entries = projects.items() if isinstance(projects, dict) else ()
    good = {key: slug for key, slug in entries if isinstance(slug, str) and re.fullmatch(_SLUG, slug)}
    return {**found, "projects": good}


def _owner(folder: Path) -> str | None:
    """Return whose folder this is, None if nobody's; '' where that cannot be read."""
    try:
        text = read_text(folder / MARK, LONGEST_PATH)
    except OSError:
        return ""
    return None if text is None else text.strip()


def _named(workspace: Path) -> str:
    """Return the workspace as it can stand in a file: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(workspace).decode("utf-8", "replace").strip()


def _may_own(slug: str, workspace: Path, places: tuple[Path, ...]) -> bool:
    return all(_owner(place / slug) in (None, _named(workspace)) for place in places)


def _owned(workspace: Path, places: tuple[Path, ...]) -> str | None:
    """Find a slug that is already marked as this workspace's."""
    for place in places:
        for name in _names(place):
            if re.fullmatch(_SLUG, name) and _owner(place / name) == _named(workspace):
                return name
    return None


def _names(place: Path) -> Iterator[str]:
    with suppress(FileNotFoundError):
        yield from sorted(os.listdir(place))


def _claimed(workspace: Path, projects: dict[str, str], places: tuple[Path, ...]) -> str:
    """Take the first free slug. A mark that somebody else makes in between sends us on to the next."""
    taken, first = set(projects.values()), slug_of(workspace.name)
    for number in range(MOST_NAMESAKES):
        slug = f"{first}-{number}" if number else first
        if slug not in taken and _may_own(slug, workspace, places) and _mark(places[0] / slug, workspace):
            return slug
    raise SettingsError(f"{places[0]}: there are too many projects with the name {workspace.name}")


def _mark(folder: Path, workspace: Path) -> bool:
    """Write whose folder this is, unless it is written. Returns whether it is the workspace's."""
    owner = _owner(folder)
    if owner is None:
        folder.mkdir(parents=True, exist_ok=True)
        _write_once(folder / MARK, _named(workspace))
        owner = _owner(folder)
    return owner == _named(workspace)


def _write_once(path: Path, text: str) -> None:
    """Make a file that is there with its text or not at all, and leave one alone that is there."""
    passing = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    passing.write_text(text, "utf-8")
    try:
        os.link(passing, path)
    except FileExistsError:
        pass
    except OSError:
        # A file system without hard links. Who looks in this very moment sees nobody's name and takes another slug.
        with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(text)
    finally:
        passing.unlink()


def _replace(path: Path, text: str) -> None:
    passing = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    passing.write_text(text, "utf-8")
    passing.replace(path)
