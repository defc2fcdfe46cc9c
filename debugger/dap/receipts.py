"""What a person has to confirm before what cannot be undone may happen a second time, as text. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.repl import retold
from debugger.repl.texts import Style

NEEDS_RECEIPT: Final = "receipt_needed"
"""The code of a refusal that carries a receipt."""
_PLAIN: Final = Style()


def confirmation(receipt: Mapping[str, Any]) -> str:
    """Return what a person reads who has to confirm what cannot be undone."""
    head = "You look at the record here, and nothing is undone. What has happened since may happen a second time:"
    how = f"To go on from here on a new branch, confirm it in the console: branch --receipt {receipt.get('digest', '')}"
    return "\n".join([head, *(f"  {one}" for one in retold.receipt(receipt, _PLAIN)), how])
