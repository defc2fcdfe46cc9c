"""The defender's part of a gateway: events, metrics and evaluations over HTTP, from the values of the defender."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.app.defending import Defending
from runtime.gateway.asking import Terms
from runtime.gateway.security import Security
from runtime.ports import Store
from runtime.vocab import JsonObject

if TYPE_CHECKING:
    from defender.engine.ports import Decided
    from runtime.gateway.desk import Desk

NOTHING_YET: Final = {"waiting": 0, "running": 0, "lookups": 0, "cached": 0, "cache_hits": 0}


def secure(desk: "Desk", defending: Defending, store: Store, trusted: Sequence[Path]) -> None:
    """Give a gateway the part that tells of the defender, unless that is off, and let it hear of decisions.

    `trusted` are the folders whose files are a person's own. The engine is made here, its detectors are not loaded.
    """
    if defending.mode == "off":
        return
    from defender.engine.counts import BUCKETS

    def key_of(session: str) -> str | None:
        entry = desk.directory.of(session)
        return entry.key if entry is not None else None

    made = Security(
        desk.hub,
        desk.clock,
        desk.chance,
        defending.mode,
        lambda: defending.book.current.events_per_second,
        key_of,
        lambda given: evaluated(defending, given),
        lambda: reloaded(defending),
        lambda: defending.made.engine.counts if defending.made is not None else None,
        lambda: defending.made.engine.shown() if defending.made is not None else NOTHING_YET,
        BUCKETS,
    )
    defending.heard.append(teller(made.tell))
    defending.complain, defending.serves = desk.complain, True
    desk.extras["security"] = made
    desk.part("asking").terms = lambda: terms_of(defending)
    labeller = defending.labeller(trusted)
    desk.dispatcher.performer.labeller = labeller(store) if labeller is not None else None
    defending.desk()


def terms_of(defending: Defending) -> Terms:
    """Return how people are asked, as the policy has it."""
    policy = defending.book.current
    return Terms(float(policy.approval_seconds), always=policy.always == "session")


def teller(tell: Callable[[JsonObject], None]) -> "Callable[[Decided], None]":
    """Return what hears decisions and tells them as JSON."""
    from defender.engine.desk import plain

    return lambda decided: tell(plain(decided))


async def evaluated(defending: Defending, given: JsonObject) -> dict[str, Any]:
    """Judge what somebody asks about (POST /defender/evaluate): nothing is held up, kept or told by it."""
    from defender.engine.ports import Kind, Subject

    desk = defending.desk()
    kind = Kind(given.get("kind", "text"))
    channel = given.get("channel") or {Kind.RESULT: "result", Kind.REPLY: "reply"}.get(kind, "stranger")
    command = kind is Kind.COMMAND
    subject = Subject(
        kind,
        "" if command else given["text"],
        channel,
        given.get("tool", ""),
        commands=(given["text"],) if command else (),
    )
    began = desk.now()
    assessment = await desk.engine.evaluate(subject)
    took = (desk.now() - began) // 1_000
    first = assessment.signals[0] if assessment.signals else None
    return {
        "decision": assessment.decision.value,
        "score": round(assessment.score, 4),
        "rule": first.rule if first is not None else "",
        "reason": first.reason if first is not None else "",
        "signals": [
            {"rule": one.rule, "risk": round(one.risk, 4), "reason": one.reason, "evidence": one.evidence}
            for one in assessment.signals
        ],
        "us": took,
    }


def reloaded(defending: Defending) -> dict[str, Any]:
    """Read the policy again; return what holds now. Raises PolicyError, and then the old one stays."""
    policy = defending.book.reload()
    return {"name": policy.name, "serial": policy.serial, "digest": policy.digest, "signer": defending.book.signer}
