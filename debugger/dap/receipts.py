"""What a person has to confirm before what cannot be undone may happen a second time, as text. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.repl.texts import line

NEEDS_RECEIPT: Final = "receipt_needed"
"""The code of a refusal that carries a receipt."""
ENTRIES: Final = 20
"""Entries that are shown."""


def confirmation(receipt: Mapping[str, Any]) -> str:
    """Return what a person reads who has to confirm what cannot be undone."""
    rows = [one for one in receipt.get("entries", ()) if not one.get("undone")]
    shown = [f"  record {one['seq']} {one['effect']}: {line(one['line'], 120)}" for one in rows[:ENTRIES]]
    more = [f"  … and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    head = "You look at the record here, and nothing is undone. This has happened since, and may happen a second time:"
    how = f"To go on from here on a new branch, confirm it in the console: branch --receipt {receipt.get('digest', '')}"
    return "\n".join([head, *shown, *more, how])
