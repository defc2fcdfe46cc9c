"""The judge of a session: the strictest of the runtime's own judge and the defender's engine wins.

It is light on purpose: the engine is made when something has to be looked at (`desk`), so a run in which nothing has
pays nothing. What is judged, and by what:

    message   as a prompt, by the way it came (`Channels`)
    call      its commands, addresses, provenance, and the integrity of this host where it reaches out
    result    as a prompt, unless a trusted source brought it; blocked is withheld and kept in the quarantine
    reply     as markup that carries something away, where anything untrusted has come into the session

In audit mode every verdict is that of the runtime's own judge, and says what it would have been.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, evolve, field, frozen

from defender.findings import Assessment
from runtime.ports import Asked, Judge
from runtime.provenance import NOTHING, Provenance
from runtime.vocab import Decision, JsonObject, Message, ToolResult, ToolSpec, Verdict

if TYPE_CHECKING:
    from defender.engine.desk import Desk
    from defender.engine.ports import Decided, Subject


class Mode(Enum):
    """What becomes of decisions: they hold, they are only recorded, or nothing is looked at."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    OFF = "off"


@frozen
class Glance:
    """What of a policy says that nothing has to be looked at: ways of weight 0, and tools that have rules of their own.

    Without arguments it is that of the built-in policy, known without loading it.
    """

    unseen: frozenset[str] = frozenset({"cli", "own-result", "own-reply"})
    floored: frozenset[str] = frozenset()


GLANCE: Final = Glance()
COMMAND_ARGS: Final = ("command", "cmd", "script", "data", "text", "literal")
"""Arguments of tools of kind `execute` that hold what a shell is to do."""
INLINE: Final = 2_048
"""Characters of commands that are read at once."""
ADDRESS: Final = r"https?://[^\s\"'<>\\`]{1,2000}"
MOST_EVIDENCE: Final = 8
"""Lines of evidence in a verdict."""
REFUSED: Final = "Refused by the defender"
"""How the error begins that the model gets in place of a call."""
WAY_OUT: Final = (
    "Nobody can be asked in this run: name it in the prompt, run `twinstep serve` where somebody can answer, or use "
    "--defender audit."
)
_RANK: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


@define(eq=False)
class DefenderJudge:
    """Judges with `inner` and the engine of a desk, which is made when it is first needed.

    `person` names the way of a trusted person's messages. `glance` returns what needs no engine at all. `influence`
    returns the join of all that a session's model has before it, None where nobody knows. `touches` says whether a call
    names what belongs to the defender. `heard` are told each decision that is more than an allow.
    """

    inner: Judge
    make: "Callable[[], Desk]"
    mode: Mode = Mode.ENFORCE
    person: str = "person"
    glance: "Callable[[], Glance]" = field(default=lambda: GLANCE)
    influence: Callable[[str], Provenance | None] = field(default=lambda session: None)
    touches: Callable[[Asked], bool] = field(default=lambda asked: False)
    heard: "list[Callable[[Decided], None]]" = field(factory=list)
    _desk: "Desk | None" = None
    _threads: trio.CapacityLimiter | None = None

    @property
    def desk(self) -> "Desk":
        """The engine and what stands around it."""
        if self._desk is None:
            self._desk = self.make()
        return self._desk

    def offers(self, spec: ToolSpec) -> bool:
        """Whether the model is told of this tool at all."""
        return self.inner.offers(spec)

    async def screen(self, session: str, message: Message) -> Verdict:
        """Judge a message before a turn starts."""
        verdict = await self.inner.screen(session, message)
        channel = self.person if NOTHING.plus(message.labels).trusted else "stranger"
        if verdict.decision is Decision.BLOCK or self._blind(channel):
            return verdict
        from defender.engine.ports import Kind, Subject

        return await self._judged(session, verdict, Subject(Kind.MESSAGE, message.text, channel))

    async def call(self, session: str, asked: Asked) -> Verdict:
        """Judge one tool call with exactly the arguments that would run."""
        verdict = await self.inner.call(session, asked)
        if verdict.decision is Decision.BLOCK or self.mode is Mode.OFF:
            return verdict
        commands, urls = tuple(commands_of(asked)), tuple(urls_of(asked))
        reaches = asked.spec.flow.effect in ("egress", "privileged") or asked.spec.kind == "execute"
        harmless = not commands and not urls and not reaches and asked.provenance.trusted
        if harmless and asked.spec.name not in self.glance().floored and not self.touches(asked):
            return verdict
        return await self._called(session, verdict, asked, commands, urls, reaches=reaches)

    async def _called(
        self,
        session: str,
        verdict: Verdict,
        asked: Asked,
        commands: Sequence[str],
        urls: Sequence[str],
        *,
        reaches: bool,
    ) -> Verdict:
        from defender.engine.ports import Kind, Subject

        desk = self.desk
        subject = Subject(
            Kind.CALL,
            tool=asked.spec.name,
            commands=tuple(commands),
            urls=tuple(urls) if asked.spec.flow.effect in ("fetch", "egress") else (),
            later=lambda: self._beside(desk, asked, commands, reaches=reaches),
            consented=verdict.decision is Decision.ALLOW and verdict.rule in desk.policy().consent,
        )
        return await self._judged(session, verdict, subject, call=asked.call, interactive=asked.interactive)

    async def _beside(
        self, desk: "Desk", asked: Asked, commands: Sequence[str], *, reaches: bool
    ) -> "list[tuple[str, Assessment]]":
        """Return what stands beside the engine's findings; long commands are read in a thread."""
        if sum(map(len, commands)) <= INLINE:
            return list(desk.beside(asked, commands, reaches=reaches))
        if self._threads is None:
            self._threads = trio.CapacityLimiter(2)

        def read() -> list[tuple[str, Assessment]]:
            return list(desk.beside(asked, commands, reaches=reaches))

        return await trio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._threads)

    async def result(
        self, session: str, spec: ToolSpec, args: JsonObject, result: ToolResult, provenance: Provenance
    ) -> Verdict:
        """Judge what a call brought, before it joins the history. What is withheld is kept."""
        verdict = await self.inner.result(session, spec, args, result, provenance)
        channel = "own-result" if provenance.trusted else "result"
        text = result.output or (result.error.message if result.error else "")
        if not text or verdict.decision is Decision.BLOCK or self._blind(channel):
            return verdict
        from defender.engine.ports import Kind, Subject

        subject = Subject(Kind.RESULT, text, channel, spec.name)
        return await self._judged(session, verdict, subject, content=text)

    async def reply(self, session: str, text: str) -> Verdict:
        """Judge what would be sent back."""
        verdict = await self.inner.reply(session, text)
        influence = self.influence(session)
        channel = "own-reply" if influence is not None and influence.trusted else "reply"
        if verdict.decision is Decision.BLOCK or self._blind(channel):
            return verdict
        from defender.engine.ports import Kind, Subject

        return await self._judged(session, verdict, Subject(Kind.REPLY, text, channel))

    def _blind(self, channel: str) -> bool:
        return self.mode is Mode.OFF or channel in self.glance().unseen

    async def _judged(
        self,
        session: str,
        inner: Verdict,
        subject: "Subject",
        *,
        call: str = "",
        content: str = "",
        interactive: bool = True,
    ) -> Verdict:
        """Return the verdict of both, and tell what was decided."""
        desk = self.desk
        began = desk.now()
        assessment = desk.hardened(subject, await desk.engine.evaluate(subject))
        took = (desk.now() - began) // 1_000
        if assessment.decision is Decision.ALLOW:
            return _remarked(inner, assessment) if assessment.signals else inner
        enforced = self.mode is Mode.ENFORCE and desk.holds(subject, assessment.decision)
        decided = desk.decided(session, subject, assessment, took, enforced=enforced, call=call)
        if enforced and content and assessment.decision is Decision.BLOCK:
            decided = await desk.kept(decided, content)
        else:
            desk.noted(decided)
        for heard in tuple(self.heard):
            heard(decided)
        if not enforced:
            return _remarked(inner, assessment)
        return _strictest(inner, assessment, decided, alone=not interactive)


def _remarked(inner: Verdict, assessment: Assessment) -> Verdict:
    """The runtime's own verdict, with what the defender thought of it."""
    would: tuple[str, ...] = ()
    if assessment.decision is not Decision.ALLOW:
        first = assessment.signals[0]
        would = (f"audit: {assessment.decision.value} by {first.rule}: {first.reason}",)
    return evolve(inner, score=round(assessment.score, 4), evidence=(*inner.evidence, *would))


def _strictest(inner: Verdict, assessment: Assessment, decided: "Decided", *, alone: bool) -> Verdict:
    """The stricter of both verdicts; where they agree, the defender's, as it says more."""
    score = round(assessment.score, 4)
    if _RANK[inner.decision] > _RANK[assessment.decision]:
        return evolve(inner, score=score, evidence=(*inner.evidence, *evidence_of(assessment)))
    reason = decided.reason
    if decided.kept:
        reason = f"{reason} It is kept as {decided.kept}: `twinstep quarantine show {decided.kept}`."
    if alone and assessment.decision is Decision.REVIEW:
        chain = f" ({evidence_of(assessment)[0]})" if evidence_of(assessment) else ""
        reason = f"{REFUSED} ({decided.rule}): {reason.rstrip('.')}{chain}. {WAY_OUT}"
    elif decided.call and assessment.decision is Decision.BLOCK:
        reason = f"{REFUSED} ({decided.rule}): {reason}"
    return Verdict(
        assessment.decision, decided.rule, reason, score=score, evidence=evidence_of(assessment)[:MOST_EVIDENCE]
    )


def evidence_of(assessment: Assessment) -> tuple[str, ...]:
    """Return the lines of evidence of an assessment, each once, the heaviest first."""
    lines = (signal.evidence or signal.reason for signal in assessment.signals)
    return tuple(dict.fromkeys(lines))[:MOST_EVIDENCE]


def commands_of(asked: Asked) -> Iterator[str]:
    """Yield what a shell would be told by a call."""
    if asked.spec.kind != "execute":
        return
    for name in COMMAND_ARGS:
        given = asked.args.get(name)
        if isinstance(given, str) and given.strip():
            yield given


def urls_of(asked: Asked) -> Iterator[str]:
    """Yield the addresses in the arguments of a call, each once."""
    known = set[str]()
    for text in _texts(asked.args, 0):
        if "://" in text:
            for found in re.findall(ADDRESS, text[:100_000]):
                url = found.rstrip(".,;:!?)]}")
                if url not in known:
                    known.add(url)
                    yield url


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif depth < 8 and isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner, depth + 1)
