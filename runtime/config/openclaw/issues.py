"""What is wrong with a settings file, as values with the path of each fault. Shows no value: it may be a secret."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from attrs import frozen

from runtime.errors import RemoteError
from runtime.vocab import JsonObject

MOST_NAMED: Final = 3
MOST_VALUES: Final = 12
ROOT: Final = "<root>"


@frozen
class Issue:
    """One fault or warning. `path` is dotted, with the number of an item of a list; the empty path is the whole."""

    path: str
    message: str
    allowed: tuple[str, ...] = ()

    def wire(self) -> dict[str, Any]:
        """Return it as the gateway sends it (trace methods/config_get, details.issues)."""
        said: dict[str, Any] = {"path": self.path, "message": self.message}
        if self.allowed:
            said["allowedValues"] = list(self.allowed[:MOST_VALUES])
            said["allowedValuesHiddenCount"] = max(0, len(self.allowed) - MOST_VALUES)
        return said

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}"


class Rejected(RemoteError):
    """A change of the settings is refused. The text and `details` go to the peer that asked for it."""

    code: ClassVar[str] = "config_rejected"

    def __init__(self, message: str, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.issues = tuple(issues)

    @property
    def details(self) -> JsonObject | None:
        """The member `details` of the error frame, or None (CONTRACT section 11)."""
        return {"issues": [issue.wire() for issue in self.issues]} if self.issues else None


def shown(path: str) -> str:
    """Return a path as a person writes it: `bindings[0].match` for `bindings.0.match`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", path) or ROOT


def below(path: str, key: str | int) -> str:
    """Return the path of a key below a path."""
    return f"{path}.{key}" if path else str(key)


def summary(issues: Iterable[Issue]) -> str:
    """Name the first faults in one sentence, and how many more there are."""
    found = list(issues)
    if not found:
        return "invalid config"
    hidden = len(found) - MOST_NAMED
    more = f" (+{hidden} more issue{'s' if hidden > 1 else ''})" if hidden > 0 else ""
    return f"invalid config: {'; '.join(map(str, found[:MOST_NAMED]))}{more}"
