"""Time travel over the records of a session: where one can stand, how far a step goes, questions to the past.

Everything here works on a path: records from the first to one of them, each with the step that it is. Pure: it reads no
journal, moves no cursor and waits for nothing. What may take long is a generator that yields every SLICE records, so
that whoever shares a thread lets others run (`debugger.inspect.search` does so as well).
"""

from debugger.time.bisecting import bisecting
from debugger.time.blaming import blaming
from debugger.time.comparing import comparing
from debugger.time.grains import ends
from debugger.time.listing import listing
from debugger.time.searching import Landing, back, earlier_hit, earlier_true, forward
from debugger.time.walk import SLICE, Walk

__all__ = [
    "SLICE",
    "Landing",
    "Walk",
    "back",
    "bisecting",
    "blaming",
    "comparing",
    "earlier_hit",
    "earlier_true",
    "ends",
    "forward",
    "listing",
]
