"""Which tools the settings leave: `tools.profile`, `tools.alsoAllow`, `tools.allow`, `tools.deny`. Pure.

The rules are OpenClaw's (observed): a list may name tools, `group:<name>` and patterns with `*`; case does not count;
what is denied stays denied; an empty list of what is allowed limits nothing; who may `write` may `apply_patch`. A
profile that is not known here leaves no tool.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from attrs import field, frozen

from runtime.tools.claw.catalogue import GROUPS, Entry

ALIASES: Final[Mapping[str, str]] = {"bash": "exec", "apply-patch": "apply_patch"}
EVERY: Final = "*"
PEOPLE: Final = {
    "agents": (Entry("agents_list", "List the agents", "Agents"),),
    "sessions": (Entry("sessions_history", "Tell what was said", "Session History", ("coding", "messaging")),),
}
"""Tools that only people call (`tools.invoke`), by their group; no catalogue lists them."""
MEMBERS: Final[Mapping[str, tuple[Entry, ...]]] = {
    name: (*next((group.entries for group in GROUPS if group.name == name), ()), *PEOPLE.get(name, ()))
    for name in (*(group.name for group in GROUPS), "agents")
}
OF_GROUP: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"group:{name}": tuple(entry.name for entry in entries) for name, entries in MEMBERS.items()},
    "group:openclaw": ("agents_list", "session_status", "sessions_history", "sessions_list", "web_fetch"),
}


def expanded(names: Iterable[str] | None) -> tuple[str, ...]:
    """Return names as they are compared, with groups put in."""
    plain = [normal(name) for name in names or ()]
    return tuple(name for each in plain if each for name in OF_GROUP.get(each, (each,)))


def normal(name: str) -> str:
    """Return the name by which a tool is compared."""
    plain = name.strip().lower()
    return ALIASES.get(plain, plain)


@frozen(kw_only=True)
class Selection:
    """What the settings say of tools. `profile` and `allow` both limit; `also` adds to the profile; `deny` wins."""

    profile: str | None = None
    allow: tuple[str, ...] = field(default=(), converter=expanded)
    also: tuple[str, ...] = field(default=(), converter=expanded)
    deny: tuple[str, ...] = field(default=(), converter=expanded)

    def admits(self, name: str) -> bool:
        """Whether the tool of this name may be offered and called."""
        plain = normal(name)
        if matches(plain, self.deny):
            return False
        return self._in_profile(plain) and (not self.allow or _allowed(plain, self.allow))

    def _in_profile(self, name: str) -> bool:
        if self.profile is None:
            return True
        return _allowed(name, (*of_profile(self.profile), *self.also))


def of_profile(name: str) -> tuple[str, ...]:
    """Return the tools of a profile; `full` has every tool, one that is not known has none."""
    plain = name.strip().lower()
    if plain == "full":
        return (EVERY,)
    return tuple(entry.name for entries in MEMBERS.values() for entry in entries if plain in entry.profiles)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of these, or fits a pattern: only `*` means something in it."""
    return any(fnmatchcase(name, each.replace("[", "[[]").replace("?", "[?]")) for each in patterns)


def _allowed(name: str, patterns: tuple[str, ...]) -> bool:
    return matches(name, patterns) or (name == "apply_patch" and matches("write", patterns))
