"""Refuses to start where one of the four packages is a stranger's of the same name. Imports none of them."""

import importlib.util
from pathlib import Path

import runtime

PACKAGES = ("runtime", "debugger", "defender", "channels")


def shadowed() -> str | None:
    """Return one sentence that names a package found in the wrong place, or None.

    `channels` and others exist on the index: a stranger's in the same environment would be imported in place of ours.
    """
    home = Path(runtime.__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            return f"the package {name} is missing beside {home / 'runtime'}; install twinstep again."
        if Path(places[0]).resolve().parent != home:
            return (
                f"the package {name} comes from {places[0]}, not from {home}: another distribution shadows it. "
                "Install twinstep in an environment of its own."
            )
    return None
