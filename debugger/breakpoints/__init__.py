"""Breakpoints: what a person wants to stop at, and whether a border is such a place. Pure.

A `Spec` is what was asked for and what is saved; a `Book` has all breakpoints of a daemon and is asked at each border.
Nothing raises out of `Book.before` and `Book.after`. It stops no session itself: the controller does.
"""

from debugger.breakpoints.book import Book, Hit
from debugger.breakpoints.breakpoint import Breakpoint
from debugger.breakpoints.describe import Count, count_of, describe, notes_of, place_of, sort_of
from debugger.breakpoints.saving import missing
from debugger.breakpoints.spec import BadSpec, Spec, plain, structure

__all__ = [
    "BadSpec",
    "Book",
    "Breakpoint",
    "Count",
    "Hit",
    "Spec",
    "count_of",
    "describe",
    "missing",
    "notes_of",
    "place_of",
    "plain",
    "sort_of",
    "structure",
]
