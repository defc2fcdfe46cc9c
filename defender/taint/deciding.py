"""The decision about one call. Reads nothing, waits for nothing."""

from defender.findings import Assessment, Signal
from runtime.ports import Asked
from runtime.vocab import Decision

_FREE = frozenset({"none", "local"})


def decide(asked: Asked) -> Assessment:
    """Return whether the call may run unasked."""
    if asked.provenance.trusted or asked.spec.flow.effect in _FREE:
        return Assessment(0.0, Decision.ALLOW)
    chain = ", ".join(asked.provenance.tainted)
    signal = Signal("taint.influence", 0.6, f"{asked.spec.name} follows from what {chain} brought.", chain)
    return Assessment(0.6, Decision.REVIEW, (signal,))
