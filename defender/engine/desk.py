"""The engine with what stands around it: the policy, provenance, integrity, and where decisions are kept.

It knows what becomes of a decision; how it is made is the engine's matter. Nothing here waits.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from attrs import asdict, define, evolve, field

from defender.engine.engine import Engine, sound, undecided
from defender.engine.own import CLEAR, Own
from defender.engine.ports import Decided, Kind, Recorder, Subject
from defender.engine.reach import Analyse, narrowed
from defender.findings import Assessment
from defender.policy.book import PolicyBook
from defender.policy.model import Policy
from runtime.ports import Asked
from runtime.vocab import Decision, JsonObject

PROVENANCE: Final = "provenance"
INTEGRITY: Final = "integrity"
OWN: Final = "own"


@define(eq=False)
class Desk:
    """One for a process. `provenance` judges where the values of a call came from, `analyse` says what a command does,
    `integrity` how this host is, `own` what is the defender's, `recorder` keeps decisions; each may be missing.
    `complain` hears what went wrong."""

    engine: Engine
    book: PolicyBook
    now: Callable[[], int]
    provenance: Callable[[Asked], Assessment] | None = None
    analyse: Analyse | None = None
    integrity: Callable[[], Assessment] | None = None
    own: Own | None = None
    recorder: Recorder | None = None
    complain: Callable[[str], None] = field(default=lambda text: None)

    def policy(self) -> Policy:
        """Return the policy that is in force."""
        return self.book.current

    def beside(self, asked: Asked, commands: Sequence[str], *, reaches: bool) -> Iterator[tuple[str, Assessment]]:
        """Yield what provenance, the defender's own places and integrity say of a call.

        `reaches`: its effect is one that leaves the workspace.
        """
        analysed = lru_cache(self.analyse) if self.analyse is not None else None
        if self.provenance is not None and not asked.provenance.trusted:
            provenance = self.provenance

            def decided() -> object:
                known = asked if analysed is None else narrowed(asked, commands, analysed)
                return provenance(known)

            yield PROVENANCE, self._asked(PROVENANCE, decided)
        if self.own is not None:
            own = self.own

            def touched() -> object:
                args = own.of_args(asked)
                if not commands or analysed is None:
                    return args
                run = own.of_commands(asked, [analysed(command) for command in commands])
                return run if run.score > args.score else args

            said = self._asked(OWN, touched)
            if said != CLEAR:
                yield OWN, said
        if self.integrity is not None and reaches:
            yield INTEGRITY, self._asked(INTEGRITY, self.integrity)

    def _asked(self, name: str, ask: Callable[[], object]) -> Assessment:
        try:
            said = ask()
        except Exception as exc:  # noqa: BLE001 - what breaks must not let anything through
            self.engine.counts.faults[f"{name}.fault"] += 1
            self.complain(f"{name}: {type(exc).__name__}: {exc}")
            return undecided("fault", f"The check of {name} failed: {type(exc).__name__}.")
        if isinstance(said, Assessment) and sound(said):
            return said
        self.engine.counts.faults[f"{name}.nonsense"] += 1
        return undecided("nonsense", f"The check of {name} gave no assessment.")

    def hardened(self, subject: Subject, assessment: Assessment) -> Assessment:
        """Return what the policy makes of a suspicious result: it may have it withheld."""
        suspicious = subject.kind is Kind.RESULT and assessment.decision is Decision.REVIEW
        if suspicious and self.policy().result_review == "withhold":
            return evolve(assessment, decision=Decision.BLOCK)
        return assessment

    def holds(self, subject: Subject, decision: Decision) -> bool:
        """Whether a decision holds anything up. A suspicious answer is sent, unless the policy says otherwise."""
        if subject.kind is Kind.REPLY and decision is Decision.REVIEW:
            return self.policy().reply_review == "hold"
        return decision is not Decision.ALLOW

    def decided(
        self, session: str, subject: Subject, assessment: Assessment, took: int, *, enforced: bool, call: str
    ) -> Decided:
        """Return a decision as it is told."""
        first = assessment.signals[0]
        return Decided(
            session,
            subject.kind,
            assessment,
            first.rule,
            first.reason,
            took,
            enforced,
            subject.tool,
            subject.channel if subject.kind is not Kind.CALL else "",
            call,
            first.evidence,
        )

    async def kept(self, decided: Decided, content: str) -> Decided:
        """Have withheld content kept; return the decision with the name under which it is found."""
        if self.recorder is None:
            return decided
        try:
            return evolve(decided, kept=await self.recorder.keep(content, plain(decided)))
        except Exception as exc:  # noqa: BLE001 - it is withheld, whether or not it can be kept
            self.complain(f"quarantine: {type(exc).__name__}: {exc}")
            return decided

    def noted(self, decided: Decided) -> None:
        """Have a decision kept."""
        if self.recorder is None:
            return
        try:
            self.recorder.record(plain(decided))
        except Exception as exc:  # noqa: BLE001 - it holds, whether or not it can be kept
            self.complain(f"quarantine: {type(exc).__name__}: {exc}")


def plain(decided: Decided) -> JsonObject:
    """Return a decision as JSON, as ledger and events have it (CONTRACT section 7 spells names like this)."""
    known = asdict(decided, recurse=False, filter=lambda member, value: value != "")
    assessment: Assessment = known.pop("assessment")
    return {
        **known,
        "kind": decided.kind.value,
        "decision": assessment.decision.value,
        "score": round(assessment.score, 4),
        "signals": [{"rule": one.rule, "risk": round(one.risk, 4), "reason": one.reason} for one in assessment.signals],
    }
