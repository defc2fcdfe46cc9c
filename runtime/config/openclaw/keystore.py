"""The key that OpenClaw's own setup put into its state folder: profiles of credentials in `state/openclaw.sqlite`.

`openclaw onboard` writes a key there and not into openclaw.json (observed). Reads only. Profiles that are no plain key
(OAuth, tokens) are not used; a database that cannot be read has no key.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from runtime.config.openclaw.building import secret

DATABASE: Final = Path("state", "openclaw.sqlite")
QUERY: Final = "select value_json from config_machine_state where state_key = 'authProfiles.store'"
SECONDS: Final = 1.0
"""How long a writer may hold the database; then it counts as one that cannot be read."""


def stored_key(state: Path, provider: str, environ: Mapping[str, str]) -> str | None:
    """Return the key of a provider in a state folder: that of its profile `default`, else of the first by name."""
    profiles = _profiles(state / DATABASE)
    own = {
        name: profile
        for name, profile in sorted(profiles.items())
        if isinstance(profile, Mapping) and (profile.get("provider"), profile.get("type")) == (provider, "api_key")
    }
    first = f"{provider}:default"
    for name in sorted(own, key=lambda name: name != first):
        if found := secret(own[name].get("key") or own[name].get("keyRef"), environ):
            return found
    return None


def _profiles(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as database:
            row = database.execute(QUERY).fetchone()
        found = json.loads(row[0])["profiles"] if row else {}
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, Mapping) else {}
