"""One run for one HTTP request: accepted, listened to, given up when the client leaves.

What a run tells is kept for its reader within a bound; who reads too slowly loses the run. Text that a reader has had
cannot be taken back: an answer that turns out different ends as an error. Speaks no protocol of its own.
"""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, evolve, field, frozen

from runtime.gateway.asks import Ask
from runtime.gateway.entries import Entry, Run
from runtime.gateway.queueing import NEXT
from runtime.provenance import PERSON
from runtime.step.calls import handed_over
from runtime.vocab import JsonObject, Terms

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

PIECES: Final = 1_000
SIZE: Final = 65_536
"""What may wait for a slow reader: so many pieces, so many characters."""
RUN_SECONDS: Final = 48 * 3600.0
"""How long a request waits for its run; runs have deadlines of their own."""
NOT_APPENDED: Final = "The answer was corrected after a part of it had been sent."
TOO_SLOW: Final = "The client did not take the answer as fast as it came; the run was given up."


@frozen(kw_only=True)
class Turn:
    """A message for a session, as HTTP has it. `model`, `thinking` and `terms` hold for this run only.
    `seconds` is how long it may take (`Ask.seconds`).

    `lasting` says that its run goes on although whoever sent it does not wait until it is accepted: it will be sent
    again under the same id.
    """

    key: str
    run: str
    text: str
    parts: tuple[JsonObject, ...]
    sender: str = "http"
    labels: tuple[str, ...] = PERSON
    model: str | None = None
    thinking: str | None = None
    via: str = "run"
    label: str | None = None
    lasting: bool = False
    seconds: float = 0
    terms: Terms | None = None


@frozen
class Ending:
    """How a run ended: `ok`, `error` or `aborted`. `reason` is the kind of failure (`runtime.gateway.failures`).

    `stop` is why the answer ended (`stop`, `length`, `tool_calls`); `calls` are those that the client runs (`id`,
    `name`, `args`).
    """

    status: str
    text: str = ""
    error: str = ""
    reason: str = ""
    stop: str = ""
    calls: tuple[JsonObject, ...] = ()


@define
class Growing:
    """The text of an answer, for a reader to whom nothing can be unsaid. Answers of several turns stand apart."""

    told: str = ""
    _settled: str = ""
    _item: str = ""
    _current: str = ""

    def hear(self, item: str, text: str) -> str | None:
        """Take the whole text of an item; return what is new, or None for a correction of what was told."""
        if item != self._item:
            self._settled, self._item = joined(self._settled, self._current), item
        self._current = text
        return self.settle(joined(self._settled, text), final=False)

    def settle(self, text: str, *, final: bool = True) -> str | None:
        """Take the whole text so far, or all of it; return what is new, or None for a correction of what was told."""
        if text.startswith(self.told):
            piece, self.told = text[len(self.told) :], text
            return piece
        return "" if self.told.startswith(text) and not final else None


def joined(before: str, after: str) -> str:
    """Two answers of one run, as `chat` events show them."""
    return f"{before}\n\n{after}" if before and after else before or after


@define(eq=False)
class Watch:
    """What a run has told that its reader has not taken yet. One reader. `run` changes where another run answers.

    `calls` looks up, at the end of the run, the calls that the client runs.
    """

    run: str
    entry: Entry | None = None
    streams: bool = False
    ending: Ending | None = None
    trouble: str = ""
    calls: Callable[[], tuple[JsonObject, ...]] = tuple
    _growing: Growing = field(factory=Growing)
    _pieces: "deque[str]" = field(factory=deque)
    _size: int = 0
    _news: trio.Event = field(factory=trio.Event)
    broken: trio.Event = field(factory=trio.Event)

    def hear(self, name: str, payload: JsonObject) -> None:
        """Take an event of the run. Never waits, never raises."""
        if self.ending is not None:
            return
        if name == "chat":
            self._chat(payload)
        elif self.streams and payload.get("stream") == "assistant":
            data = payload["data"]
            self._put(self._growing.hear(data["itemId"], data["text"]))

    def _chat(self, payload: JsonObject) -> None:
        state = payload.get("state")
        if state == "final":
            text = text_of(payload.get("message"))
            if self.streams:
                self._put(self._growing.settle(text))
            self._end(Ending("ok", text, stop=payload.get("stopReason", ""), calls=self.calls()))
        elif state == "aborted":
            self._end(Ending("aborted", error="The run was aborted."))
        elif state == "error":
            about = payload.get("errorDetail") or {}
            self._end(Ending("error", error=payload.get("errorMessage", ""), reason=about.get("failoverReason", "")))

    def _put(self, piece: str | None) -> None:
        if self.trouble or piece == "":
            return
        if piece is None:
            self._break(NOT_APPENDED)
        elif len(self._pieces) >= PIECES or self._size + len(piece) > SIZE:
            self._break(TOO_SLOW)
        else:
            self._pieces.append(piece)
            self._size += len(piece)
            self._news.set()

    def _break(self, why: str) -> None:
        self.trouble = why
        self._pieces.clear()
        self.broken.set()
        self._news.set()

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self._news.set()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.ending is not None or bool(self.trouble)

    def take(self) -> list[str]:
        """All that waits."""
        pieces = [*self._pieces]
        self._pieces.clear()
        self._size = 0
        return pieces

    async def news(self, seconds: float) -> None:
        """Wait until there is something to take, or nothing more to come, or the time is up."""
        if not self._pieces and not self.over:
            self._news = trio.Event()
            with trio.move_on_after(seconds):
                await self._news.wait()

    async def end(self) -> Ending:
        """Wait until the run is over."""
        with trio.move_on_after(RUN_SECONDS):
            while self.ending is None:
                await self.news(RUN_SECONDS)
        return self.ending or Ending("error", error="The run took too long.", reason="timeout")


def text_of(message: Any) -> str:
    """The text of the message of a `chat` event."""
    content = message.get("content", ()) if isinstance(message, dict) else ()
    return "".join(one.get("text", "") for one in content if isinstance(one, dict))


@define(eq=False)
class Turns:
    """All runs that HTTP requests wait for. One tap hears for all of them, and counts events by name."""

    desk: "Desk"
    watches: dict[str, Watch] = field(factory=dict)
    events: Counter[str] = field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        self.desk.hub.taps.append(self.hear)

    def hear(self, name: str, payload: Any) -> None:
        """Pass an event on to whoever waits for its run."""
        self.events[name] += 1
        if name not in ("agent", "chat"):
            return
        watch = self.watches.get(payload.get("runId", ""))
        if watch is None:
            return
        follows = self.desk.runs.follow(watch.run)
        if name == "chat" and follows != watch.run and payload.get("state") == "final":
            # The session was busy: a run of the gateway's own will answer when it is this message's turn.
            self.watches[follows] = self.watches.pop(watch.run)
            watch.run = follows
            return
        watch.hear(name, payload)

    async def begin(self, turn: Turn, *, streams: bool = False) -> Watch:
        """Accept a message: it is on disk when this returns. Raises GatewayError, and then nothing is watched."""
        watch = self.watches[turn.run] = Watch(turn.run, streams=streams)
        accepted = False
        try:
            entry = watch.entry = self._entry(turn)
            watch.calls = partial(self._handed, entry.session)
            ask = Ask(entry, turn.run, turn.text, turn.parts, "agent", NEXT, turn.sender, terms=turn.terms)
            ask = evolve(ask, model=turn.model, thinking=turn.thinking, seconds=turn.seconds, labels=turn.labels)
            await self.desk.runs.send(ask)
            accepted = True
        finally:
            if not accepted:
                self.end(watch, give_up=not turn.lasting)
        return watch

    def end(self, watch: Watch, *, give_up: bool = True) -> None:
        """Stop listening. A run that is not over is given up, except while the gateway stops: it goes on after that."""
        self.watches.pop(watch.run, None)
        if watch.entry is None:
            return
        if give_up and watch.ending is None and not self.desk.draining:
            self.desk.runs.abort(watch.entry, watch.run)

    def tokens(self, watch: Watch) -> tuple[int, int, int]:
        """What the run used: tokens in, tokens out, both."""
        run: Run | None = self.desk.runs.shelf.items.get(watch.run)
        return run.tokens if run is not None else (0, 0, 0)

    def _handed(self, session: str) -> tuple[JsonObject, ...]:
        live = self.desk.runs.roster.live.get(session)
        return handed_over(live.state) if live is not None else ()

    def _entry(self, turn: Turn) -> Entry:
        directory = self.desk.directory
        entry = directory.get(turn.key)
        if entry is None:
            entry = directory.create(turn.key, via=turn.via, label=turn.label)
            self.desk.changed(entry, "create")
        return entry
