"""The state of a session: one frozen value. A change is a new value; nothing here changes one.

Big parts (history, chunks, calls, context) are shared between the states that hold them and carry their digests, so a
step costs what it changed and not what the session has become.
"""

from functools import cached_property
from typing import Any

import msgpack
from attrs import field, frozen
from pyrsistent import PVector, pvector

from runtime import provenance
from runtime.provenance import NOTHING, Provenance
from runtime.step.settings import Settings
from runtime.step.table import CallPhase, Phase
from runtime.vocab import (
    Content,
    JsonObject,
    Message,
    Tape,
    ToolResult,
    Toolset,
    Usage,
    Verdict,
    digest,
    encode,
    evolve,
)


@frozen
class Context:
    """What the model is told about the world: system text, tools on offer, parts before the first prompt.

    Where a person took some tools away, `offered` are those that there were.
    """

    system: str
    toolset: Toolset
    opening: tuple[JsonObject, ...] = ()
    offered: Toolset | None = None

    @cached_property
    def digest(self) -> bytes:
        """Digest of all members. `offered` counts where it is set, so that older journals stay good."""
        more = (self.offered.digest,) if self.offered is not None else ()
        return digest(self.system.encode(errors="replace"), self.toolset.digest, encode(self.opening), *more)


@frozen
class Prompt:
    """The message under way. `base` is the length of the history before it; `turns` counts its model requests."""

    message: Message
    base: int
    turns: int = 0
    context: str = ""

    @cached_property
    def digest(self) -> bytes:
        """Digest of all members."""
        return digest(encode([*_said(self.message), self.base, self.turns, self.context]))


@frozen
class Call:
    """One tool call of a turn. `revision` grows with each change of the arguments, so a late verdict on older ones
    does not count. `edited` marks calls that a person touched, `entered_by` is who gave the arguments when asked about
    the call, if somebody did and nobody edited them since. It is not in the digest: the events say it, and journals
    from before it keep theirs."""

    id: str
    name: str
    args: JsonObject
    wave: int
    phase: CallPhase = CallPhase.QUEUED
    revision: int = 0
    edited: bool = False
    verdict: Verdict | None = None
    result: ToolResult | None = None
    entered_by: str = ""

    @cached_property
    def digest(self) -> bytes:
        """Digest of all members."""
        return digest(
            encode([self.id, self.name, self.args, self.wave, self.phase.value, self.revision, self.edited]),
            encode(self.verdict.plain) if self.verdict else b"null",
            self.result.digest if self.result else b"",
        )


@frozen
class Turn:
    """One model request and the calls that it asked for.

    `number` counts from 1 in the prompt. `broken` and `invalid` count the failures of the two retry loops (API.md);
    `wait` is how many seconds the next retry waits; `nudge` is text that the retry adds to the request. `chunks` are
    the pieces of the answer so far, provisional until the response commits; `rolled` is their rolling digest.
    """

    number: int
    broken: int = 0
    invalid: int = 0
    wait: float = 0.0
    nudge: str = ""
    chunks: PVector[JsonObject] = field(factory=pvector)
    rolled: bytes = b""
    calls: tuple[Call, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """Digest of all members."""
        head = (self.number, self.broken, self.invalid, self.wait, self.nudge, self.rolled)
        return digest(msgpack.packb(head), *(call.digest for call in self.calls))

    def call(self, name: str) -> Call | None:
        """Return the call with this id, or None."""
        for call in self.calls:
            if call.id == name:
                return call
        return None

    def with_call(self, changed: Call) -> "Turn":
        """Return the turn with the call of that id replaced."""
        return evolve(self, calls=tuple(changed if call.id == changed.id else call for call in self.calls))


@frozen
class Hold:
    """Why the session stands still, before which step, and who wanted it. A release must name the generation."""

    step: str
    cause: str
    by: str
    generation: int
    call: str = ""


@frozen
class Outcome:
    """How the last prompt ended.

    `status` is `done`, `failed`, `refused` or `cancelled`; `code` names the kind of failure (`runtime.errors` codes,
    `invalid_stream.<TYPE>`); `http` is the status of the API's answer or 0; `body` is the API's own error text.
    """

    status: str
    code: str = ""
    message: str = ""
    http: int = 0
    body: str = ""

    @property
    def plain(self) -> tuple[str, str, str, int, str]:
        """The members as a tuple, for digests."""
        return (self.status, self.code, self.message, self.http, self.body)


@frozen
class Waiting:
    """A message in the lane. With `steer` it joins an open prompt before its next turn."""

    message: Message
    steer: bool = False


@frozen
class State:
    """A session at one moment. `seq` is the number of the last event that was applied; it counts over all branches.
    `number` counts the steps of the machine that began on the way here, each once, and no control records.

    `lane` holds the messages that wait, oldest first; `steering` is the one that the judge looks at before it joins the
    open prompt.

    `influence` is the join of the labels of the whole history, kept at each append so that nobody reads it again. The
    history says it all, so it is in neither digest nor snapshot.
    """

    session: str
    phase: Phase = Phase.NEW
    seq: int = 0
    number: int = 0
    branch: str = "main"
    settings: Settings = field(factory=lambda: Settings(model=""))
    context: Context | None = None
    history: PVector[Content] = field(factory=pvector)
    rolled: bytes = b""
    prompt: Prompt | None = None
    turn: Turn | None = None
    turns: int = 0
    turn_base: int = 0
    after_hook: Phase | None = None
    usage: Usage = field(factory=Usage)
    last_prompt_tokens: int = 0
    tape: Tape = field(factory=Tape)
    hold: Hold | None = None
    generation: int = 0
    touched: bool = False
    outcome: Outcome | None = None
    lane: tuple[Waiting, ...] = ()
    steering: Message | None = None
    influence: Provenance = field(default=NOTHING, eq=False)

    @property
    def digest(self) -> bytes:
        """Digest over everything but `seq`, `number` and `branch`: equal states on two branches have equal digests."""
        hold, use = self.hold, self.usage
        head: tuple[Any, ...] = (
            self.session,
            self.phase.value,
            self.turns,
            self.turn_base,
            self.after_hook.value if self.after_hook else None,
            # As text: these numbers come from outside, and msgpack has no place for all of them.
            str((use.prompt, use.candidates, use.total, use.cached, use.thoughts, use.tool, self.last_prompt_tokens)),
            str((self.tape.next, self.tape.used)),
            (hold.step, hold.cause, hold.by, hold.generation, hold.call) if hold else None,
            self.generation,
            self.touched,
            self.outcome.plain if self.outcome else None,
            self.rolled,
            self.settings.digest,
            self.context.digest if self.context else None,
            self.prompt.digest if self.prompt else None,
            self.turn.digest if self.turn else None,
        )
        if self.lane or self.steering:  # else as before there were lanes, so that older journals stay good
            head += (encode([[_said(one.message), one.steer] for one in self.lane]), encode(_said(self.steering)))
        return digest(msgpack.packb(head, unicode_errors="surrogatepass"))

    @property
    def answer(self) -> str:
        """The visible text of the last thing that the model said for the open or last prompt."""
        base = self.prompt.base if self.prompt else 0
        for content in reversed(self.history[base:]):
            if content.role == "model":
                return content.text
        return ""


def _said(message: Message | None) -> list[Any]:
    """The members of a message, for digests."""
    if message is None:
        return []
    members: list[Any] = [message.id, message.text, message.parts, message.sender, message.labels]
    return members if message.terms is None else [*members, message.terms.plain]  # as before there were terms


def append(state: State, *contents: Content) -> dict[str, Any]:
    """Return the changes (history and rolling digest) that appending `contents` means."""
    rolled = state.rolled
    for content in contents:
        rolled = digest(rolled, content.digest)
    joined = provenance.of(contents, state.influence)
    return {"history": state.history.extend(contents), "rolled": rolled, "influence": joined}


def rewritten(contents: "PVector[Content] | tuple[Content, ...]") -> dict[str, Any]:
    """Return the changes that replacing the whole history by `contents` means."""
    rolled = b""
    for content in contents:
        rolled = digest(rolled, content.digest)
    return {"history": pvector(contents), "rolled": rolled, "influence": provenance.of(contents)}
