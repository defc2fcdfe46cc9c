"""The step machine: frozen state, tables, `advance`. Pure; `tests/arch` holds it to that."""

from runtime.step.events import Event, Go, On, Settings
from runtime.step.kinds import StepKind
from runtime.step.machine import Step, advance, kind_of, ready, request_of
from runtime.step.state import State
from runtime.step.table import OPEN, REST, TABLE, CallPhase, Phase

__all__ = [
    "OPEN",
    "REST",
    "TABLE",
    "CallPhase",
    "Event",
    "Go",
    "On",
    "Phase",
    "Settings",
    "State",
    "Step",
    "StepKind",
    "advance",
    "kind_of",
    "ready",
    "request_of",
]
