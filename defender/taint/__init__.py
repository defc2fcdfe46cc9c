"""Whether a call may follow from what the session has seen: provenance decides, not the look of a text. Pure."""

from defender.taint.deciding import decide

__all__ = ["decide"]
