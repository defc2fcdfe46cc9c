"""Writes the pages of docs/reference that can be drawn from the code. Edits no page that a person wrote.

Run by `make docs`; tests/docs/test_reference.py fails when a page is not what this file would write.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from runtime import errors
from runtime.step.events import On
from runtime.step.kinds import ABOUT, CONTROLS
from runtime.step.table import ALWAYS, CALL_TABLE, TABLE, CallRule, Rule

FOLDER: Final = Path(__file__).resolve().parent / "reference"
MADE: Final = "<!-- Made by `make docs`. Do not edit. -->\n"


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a head."""
    names = tuple(head)
    return row(*names) + row(*("---" for _ in names)) + "".join(row(*cells) for cells in rows)


def code(text: str) -> str:
    """Text in the type of code."""
    return f"`{text}`"


def summary(text: str | None) -> str:
    """A docstring up to its first empty line, as one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def error_tree(root: type[errors.TwinstepError], depth: int = 0) -> Iterator[tuple[int, type[errors.TwinstepError]]]:
    """Every error of runtime/errors.py with its depth in the tree, parents first."""
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_tree(child, depth + 1)


def errors_page() -> str:
    """The error tree with codes and exit statuses."""
    rows = [
        (
            "&emsp;" * depth + code(error.__name__),
            code(error.code),
            str(error.exit_code),
            "yes" if error.retryable else "no",
            summary(error.__doc__),
        )
        for depth, error in error_tree(errors.TwinstepError)
    ]
    return (
        f"# Errors\n\n{MADE}\n"
        "Every failure is one of these. The code is for wires and logs and does not change between versions. The exit\n"
        "status is how a headless run ends. Retryable means that the same request may be made again unchanged.\n\n"
        + table(("Error", "Code", "Exit status", "Retryable", "Meaning"), rows)
    )


def plain(phase: str) -> str:
    """The name of a phase as the language of diagrams takes it: without hyphens."""
    return phase.replace("-", "_")


def arrows(table_of: Mapping[str, Mapping[On, Rule | CallRule]]) -> Iterator[str]:
    """The lines of a state diagram."""
    for phase, rules in table_of.items():
        for on, rule in rules.items():
            for target in sorted(target.value for target in rule.to):
                yield f"    {plain(phase)} --> {plain(target)} : {on.value}\n"


def transitions(table_of: Mapping[str, Mapping[On, Rule | CallRule]]) -> str:
    """A table of transitions with a diagram drawn from the same rows."""
    rows = [
        (
            code(phase),
            code(on.value),
            code(rule.kind.value),
            ", ".join(sorted(code(target.value) for target in rule.to)),
        )
        for phase, rules in table_of.items()
        for on, rule in rules.items()
    ]
    drawing = "".join(arrows(table_of))
    return f"```mermaid\nstateDiagram-v2\n{drawing}```\n\n" + table(("Phase", "On", "Step", "Leads to"), rows)


def steps_page() -> str:
    """The kinds of steps, and both tables of transitions."""
    kinds = [
        (code(kind.value), level, "yes" if kind in CONTROLS else "no", text) for kind, (level, text) in ABOUT.items()
    ]
    always = [
        (code(on.value), code(kind.value), ", ".join(sorted(code(phase.value) for phase in phases)))
        for on, (kind, phases) in ALWAYS.items()
    ]
    session = {phase.value: rules for phase, rules in TABLE.items()}
    call = {phase.value: rules for phase, rules in CALL_TABLE.items()}
    return (
        f"# Steps\n\n{MADE}\n"
        "A session moves by steps. Breakpoints, journals and listings use these names. A transition that is not on\n"
        "this page does not exist: an event that comes where no row has a place for it changes nothing and raises\n"
        "`NoTransition`. Why the tables are data: [ADR 0001](../adr/0001-step-machine.md).\n\n"
        "## Kinds of steps\n\n"
        + table(("Step", "Belongs to", "Taken while held", "Meaning"), kinds)
        + "\n## Phases of a session\n\n"
        + transitions(session)
        + "\n## Phases of a call\n\nCalls of one answer move side by side; each has a phase of its own.\n\n"
        + transitions(call)
        + "\n## What a session always answers\n\n"
        + table(("On", "Step", "In the phases"), always)
    )


PAGES: Final[Mapping[str, Callable[[], str]]] = {"errors.md": errors_page, "steps.md": steps_page}


def main() -> None:
    """Write every page, and say which changed."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
