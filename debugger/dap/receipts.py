"""What a person has to confirm before what cannot be undone may happen a second time, as text. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.repl import retold
from debugger.repl.texts import Style

NEEDS_RECEIPT: Final = "receipt_needed"
"""The code of a refusal that carries a receipt."""
_PLAIN: Final = Style()


def confirmation(receipt: Mapping[str, Any], line: str = "") -> str:
    """Return what a person reads who has to confirm what cannot be undone: for a line of the console that was refused,
    else for going on from where he looks."""
    head = "You look at the record here, and nothing is undone. What has happened since may happen a second time:"
    how = "To go on from here on a new branch, confirm it in the console: branch"
    if line:
        head, how = "Nothing was done. What has happened since may happen a second time:", f"To confirm it: {line}"
    rows = (f"  {one}" for one in retold.receipt(receipt, _PLAIN))
    return "\n".join([head, *rows, f"{how} --receipt {receipt.get('digest', '')}"])
