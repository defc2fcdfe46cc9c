"""Writes docs/reference/defender-commands.md from the rules about commands."""

from collections.abc import Iterable
from typing import Final

from defender.commands import allow, interpreters, wrappers
from defender.commands.families import FAMILIES
from defender.commands.grammar import MOST_BYTES
from defender.commands.reader import DEEPEST, MOST_CALLS, MOST_NODES, MOST_TEXTS
from defender.commands.rules import Rule
from defender.commands.rules import code as about_code
from defender.commands.rules import table as rules
from defender.commands.windows import RULES as WINDOWS
from defender.commands.windows import WindowsRule
from defender.commands.writers import WRITERS
from docs.markdown import MADE, code, table

HEAD: Final = f"""# Rules about commands

{MADE}
What the defender finds in a shell command, rule by rule, with an example that a rule finds and one that it spares. The
tests hold each rule to both. How a command is read, and what allow, review and block mean:
[the judgement of commands](../explanation/defender-commands.md). What is found in one command:
`twinstep defender explain -- 'COMMAND'`.

Read are at most {MOST_BYTES:,} bytes, {MOST_CALLS} simple commands, {MOST_TEXTS} nested texts, {DEEPEST} deep, and
{MOST_NODES:,} statements; loops and functions count as often as they are read. Beyond that a person is asked.
"""


Row = Rule | about_code.CodeRule | WindowsRule


def _shown(text: str) -> str:
    tick = "``" if "`" in text else "`"
    text = text.replace("\n", "⏎")
    return f"{tick} {text} {tick}" if "`" in text else f"`{text}`"


def _rows(found: Iterable[Row]) -> str:
    return table(
        ("Rule", "Says", "Risk", "Why", "Finds", "Spares"),
        (
            (code(row.id), row.decision.value, f"{row.risk:g}", row.reason, _shown(row.example), _shown(row.spared))
            for row in found
        ),
    )


def page() -> str:
    """The whole page."""
    harmless = sorted(name for name, wrapper in wrappers.WRAPPERS.items() if wrapper.harmless)
    return (
        f"{HEAD}\n## Programs\n\n{_rows(rules())}"
        f"\n## Code on the command line\n\nOf {code(*sorted(interpreters.LANGUAGES))}.\n\n{_rows(about_code.RULES)}"
        f"\n## Windows\n\n{_rows(WINDOWS)}"
        "\n## What may be allowed\n\nPrograms that only read, whatever their words are:\n\n"
        f"{code(*sorted(allow.READS))}.\n\n"
        "Programs of which some calls only read, or make nothing but a new folder, file, link or copy inside of the\n"
        f"folder of the work:\n\n{code(*sorted(allow.PROGRAMS))}.\n\n"
        "Families of programs that look, draw or convert, with an example that is allowed and one that is not:\n\n"
        + table(
            ("Family", "Why", "Allowed", "Not", "Programs"),
            ((code(row.id), row.reason, _shown(row.example), _shown(row.refused), row.programs) for row in FAMILIES),
        )
        + "\nPrograms that write data inside of the folder of the work:\n\n"
        + table(
            ("Programs", "Why", "Allowed", "Not"),
            ((row.programs, row.reason, _shown(row.example), _shown(row.refused)) for row in WRITERS),
        )
        + "\n"
        "Wrappers that are no reason for a question by themselves; what they start decides:\n\n"
        f"{code(*harmless, 'env', 'command', 'busybox', 'toybox', 'xargs', 'parallel', 'flock')}.\n"
    )
