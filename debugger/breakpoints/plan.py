"""Which breakpoints look at which borders of one session, by step kind. Pure."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from debugger.breakpoints.breakpoint import Breakpoint
from runtime.step import StepKind

ByKind = Mapping[StepKind, tuple[Breakpoint, ...]]


@frozen
class Plan:
    """The breakpoints that concern a session with this key and agent, in order."""

    key: str
    agent: str
    before: ByKind
    after: ByKind


def planned(breakpoints: Iterable[Breakpoint], session: str, key: str, agent: str) -> Plan:
    """Return the plan of a session."""
    before: dict[StepKind, tuple[Breakpoint, ...]] = {}
    after: dict[StepKind, tuple[Breakpoint, ...]] = {}
    for one in breakpoints:
        if one.concerns(session, key, agent):
            for kind in one.places.before:
                before[kind] = (*before.get(kind, ()), one)
            for kind in one.places.after:
                after[kind] = (*after.get(kind, ()), one)
    return Plan(key, agent, before, after)
