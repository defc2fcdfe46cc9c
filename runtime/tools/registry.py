"""Which tools there are, by name. Imports a tool's module only when that tool is fetched; decides about no call."""

import json
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Final, cast

from attrs import define, field

from runtime.ports import Tool
from runtime.tools.declarations import ALIASES, SPECS
from runtime.vocab import Toolset, ToolSpec

PLACES: Final = {
    "list_directory": ("listing", "ListDirectory"),
    "read_file": ("read", "ReadFile"),
    "grep_search": ("grep", "GrepSearch"),
    "glob": ("glob", "Glob"),
    "replace": ("edit", "Replace"),
    "write_file": ("edit", "WriteFile"),
    "web_fetch": ("web", "WebFetch"),
    "run_shell_command": ("shell", "RunShellCommand"),
    "google_web_search": ("web", "GoogleWebSearch"),
}
NEAREST: Final = 3


@define
class Registry:
    """The tools of one daemon: the built-in ones, then `extra` in order. One object per tool, made on first use.

    An extra tool with the name of a built-in one takes its place. Without `own`, only the extra ones are there.
    """

    extra: Sequence[Tool] = ()
    own: bool = True
    _made: dict[str, Tool] = field(factory=dict, init=False)
    _specs: dict[str, ToolSpec] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._specs.update((spec.name, spec) for spec in SPECS if self.own)
        for tool in self.extra:
            self._specs[tool.spec.name] = tool.spec
            self._made[tool.spec.name] = tool

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name or old name, or None."""
        spec = self.spec(name)
        if spec is None:
            return None
        tool = self._made.get(spec.name)
        if tool is None:
            module, kind = PLACES[spec.name]
            tool = self._made[spec.name] = cast("Tool", getattr(import_module(f"runtime.tools.{module}"), kind)())
        return tool

    def spec(self, name: str) -> ToolSpec | None:
        """Return what the tool of that name or old name is, without importing it."""
        return self._specs.get(ALIASES.get(name, name))

    def specs(self) -> tuple[ToolSpec, ...]:
        """Return what all tools are, in the order in which they are listed."""
        return tuple(self._specs.values())

    def offered(self, offers: Callable[[ToolSpec], bool] = lambda spec: True) -> tuple[ToolSpec, ...]:
        """Return the tools that the model is told of: those for which `offers` (of the judge) says yes."""
        return tuple(spec for spec in self._specs.values() if offers(spec))

    def toolset(self, offers: Callable[[ToolSpec], bool] = lambda spec: True) -> Toolset:
        """Return the same as a value for the state of a session."""
        return toolset(self.offered(offers))


def toolset(specs: Sequence[ToolSpec]) -> Toolset:
    """Return names, serial names, effects and declarations (compact JSON) of these tools."""
    return Toolset(
        tuple(spec.name for spec in specs),
        tuple(spec.name for spec in specs if not spec.parallel),
        {spec.name: spec.effect.value for spec in specs},
        json.dumps([spec.declaration for spec in specs], ensure_ascii=False, separators=(",", ":")),
    )


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the sentence for a call of a tool that is not there, with the nearest of the known names."""
    near = [f'"{other}"' for other in sorted(known, key=lambda other: distance(name, other))[:NEAREST]]
    if not near:
        return f'Tool "{name}" not found.'
    hint = f"one of: {', '.join(near)}" if len(near) > 1 else near[0]
    return f'Tool "{name}" not found. Did you mean {hint}?'


def distance(one: str, other: str) -> int:
    """Return how many characters must be put in, taken out or changed to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for line, char in enumerate(one, 1):
        above, row = row, [line]
        for place, twin in enumerate(other, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (char != twin)))
    return row[-1]
