"""Writes docs/reference/debugger-commands.md from the table of the debugger's client."""

from collections.abc import Iterator
from typing import Final

from debugger.repl.explaining import GROUPS, example, role_of
from debugger.repl.forms import COMMON, Asked, Form
from debugger.repl.lines import FORMS
from docs.markdown import MADE, code, table
from runtime.step.edits import EDITABLE

HEAD: Final = f"""# Commands of the debugger

{MADE}
What can be typed at the prompt of `twinstep attach`, written in a file for `--batch`, given with `-x`, or set as the
`commands` of a breakpoint. How to begin: [attach the debugger](../how-to/attach-the-debugger.md).

- The beginning of a name is enough where it fits no other command; short names are in the tables.
- A line says the least it can: session, generation of the hold and number of the record are those of the stop, and a
  call that is left out, or is `.`, is the one that the session stands at.
- A session is named by its id, its key, the last part of its key or the last few (`main` or `main:main` for
  `agent:main:main`), or the beginning of any of these that fits no other. It is shown by the shortest that is clear.
- Options stand first or last: {code(*(name.rstrip("=") for name in COMMON))} and those of a command. `--reason "..."`
  goes into journal and audit where a command has a place for it. With `--dry-run` an edit is tried by the daemon and
  changes nothing; of any other command it is only said what would be done, and of `delete`, `cancel` and `kill-call`
  also what they would take away. What follows `--` is text.
- After a command that lets the session go, files and pipes wait for its next stop, or the end of its prompt. A line
  that ends with `&` does not wait, and `wait` does it later.
- `#` begins a comment. An empty line at the prompt repeats the last step.
- `print` keeps what it shows as `$1`, `$2` and so on, for expressions and as values of edits.
- An [expression](debugger-expressions.md) behind `if` takes the rest of the line.

What a command asks of the daemon, and what its role may do, is in the [protocol](debugger-protocol.md).
"""
PATHS: Final = """
## What can be edited

The paths of `set`, `insert`, `delete` and `move`. Everything that is edited is judged again. Values are JSON: text
stands in quotes.

"""
FILES: Final = """
## Files

`save` writes the breakpoints as JSON, and `source` sets them again. Any other file is run line by line, and the first
line that fails ends it. A breakpoint that is there already is not set once more, and stays as it is. `commands` is
followed by lines up to `end`; one that no stop could do is refused at once.

## Keys

| key | what it does |
| --- | --- |
| Enter | does the line; an empty one repeats the last step |
| Tab | completes commands, sessions by key and id, steps, tools, topics, and paths of the live session |
| Ctrl-C | pauses the current session; twice within a second leaves. It ends nothing |
| Ctrl-D | leaves, and asks what becomes of a session that is held |
| Ctrl-R | searches the lines that were typed before, which are kept in `~/.local/state/twinstep/attach-history` |
| Alt-Enter | begins a new line within the line |

## As text

Tables and trees keep to the width of the terminal (160 columns where there is none) and show with `…` what is cut. What
comes from a session is shown without control characters. Colours are only used on a terminal, and not with `NO_COLOR`
or `TERM=dumb`.

## As JSON

With `--json` each line of output is one object. An answer has `command`, `with` and `ok`; an error `line` and `error`
with `code`, `message` and perhaps `at` and `position`; an event `event` and `data`; what the client does itself `local`
and `ok`. A stop has its whole context, so that a program can decide from one line.
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(section(group, title) for group, title in GROUPS.items()) + PATHS + paths() + FILES


def section(group: str, title: str) -> str:
    """The commands of one group."""
    rows = list(rows_of(form for form in FORMS if form.group == group))
    return f"\n## {title}\n\n" + table(("Command", "What it does", "Example", "Asks", "Role"), rows)


def rows_of(forms: "Iterator[Form]") -> Iterator[tuple[str, ...]]:
    """A row for each command."""
    for form in forms:
        asked = dict.fromkeys(act.command for act in example(form) if isinstance(act, Asked))
        short = f" ({', '.join(code(name) for name in form.names[1:])})" if form.names[1:] else ""
        yield f"{code(form.usage)}{short}", form.about, code(form.example), code(*asked), role_of(form)


def paths() -> str:
    """What can be edited."""
    return table(("Path", "What it is"), ((code(path), about) for path, about in EDITABLE.items()))
