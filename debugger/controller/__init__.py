"""The engine of the debugger: holds, steps, stops, edits, and the handlers of the protocol's commands.

It works through the dispatcher alone, so whatever it does is journaled and replays. It speaks no wire and draws no
screen.
"""

from debugger.controller.assembly import Studio, assemble
from debugger.controller.engine import Debugger
from debugger.controller.names import Names, Plain, Row

__all__ = ["Debugger", "Names", "Plain", "Row", "Studio", "assemble"]
