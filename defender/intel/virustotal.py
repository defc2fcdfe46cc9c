"""Look-ups that never hold anybody up: `url` and `file` answer within their deadline, whatever VirusTotal does.

In this order: what may not be asked is unknown; what is in the cache is taken from there; who asks what is being asked
shares that answer; then, without ever waiting in a line, the breaker, the number of open look-ups and the quota must
let it through, else it is unknown. A flood of slow answers thus costs at most `concurrent` connections.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import trio
from attrs import define, field

from defender.findings import Assessment
from defender.intel.addresses import NoQuestion, Question, about_file, about_url
from defender.intel.answers import Fault, Read, Unreachable, read, unknown
from defender.intel.limits import SECOND, Breaker, Bucket, Cache
from defender.intel.settings import Options
from runtime.ports import Clock

if TYPE_CHECKING:
    import httpcore

    from defender.intel.exchange import Exchange

LATE: Final = "does not answer in time"
SHARERS: Final = 256
"""How many may wait for the answer to one question; each waits no longer than the deadline."""


@define(eq=False)
class _Flight:
    """A look-up under way, for all who ask the same. `found` stays None where whoever asked was cancelled."""

    done: trio.Event = field(factory=trio.Event)
    found: Assessment | None = None
    sharers: int = 0


class VirusTotal:
    """Asks VirusTotal what it knows of a URL or a file. Without options, or a key, everything is unknown.

    `backend` stands in for the network in tests.
    """

    def __init__(
        self, options: Options | None, clock: Clock, backend: "httpcore.AsyncNetworkBackend | None" = None
    ) -> None:
        self.options = options or Options()
        self._clock = clock
        self._cache: Cache[Assessment] = Cache(self.options.entries)
        self._bucket = Bucket(self.options.per_minute, self.options.per_day)
        self._breaker = Breaker()
        self._backend = backend
        self._exchange: Exchange | None = None
        self._flights: dict[str, _Flight] = {}
        self._counts: Counter[str] = Counter()

    async def url(self, url: str) -> Assessment:
        """Return what is known of a URL. Never raises, and never waits longer than the deadline."""
        return await self._answer(about_url(url, hashed=self.options.identify == "hash"))

    async def file(self, sha256: str) -> Assessment:
        """Return what is known of the file with this SHA-256 (hex). Never raises, never waits longer either."""
        return await self._answer(about_file(sha256))

    @property
    def open(self) -> int:
        """How many look-ups are under way."""
        return len(self._flights)

    @property
    def trouble(self) -> str:
        """Why VirusTotal is not asked at present, or nothing."""
        return self._breaker.why

    def figures(self) -> Mapping[str, int]:
        """Return how often each thing happened: `asked`, `cached`, `shared`, and why something stayed unknown."""
        return dict(self._counts)

    async def _answer(self, question: Question | NoQuestion) -> Assessment:
        await trio.lowlevel.checkpoint()
        if isinstance(question, NoQuestion):
            return self._unknown("refused", f"is not asked: {question.why}", question.shown)
        if not self.options.key:
            return self._unknown("keyless", "is not asked: there is no key", question.shown)
        found = self._cache.get(question.path, self._clock.mono())
        if found is not None:
            self._counts["cached"] += 1
            return found
        return await self._shared(question, trio.current_time() + self.options.seconds)

    async def _shared(self, question: Question, deadline: float) -> Assessment:
        """Ask, or wait for the answer to the same question. If whoever asked it has left, ask it anew."""
        while (flight := self._flights.get(question.path)) is not None:
            if flight.sharers >= SHARERS:
                return self._unknown("busy", "is not asked: too many wait for the same answer", question.shown)
            flight.sharers += 1
            try:
                with trio.move_on_at(deadline):
                    await flight.done.wait()
            finally:
                flight.sharers -= 1
            if flight.found is not None:
                self._counts["shared"] += 1
                return flight.found
            if trio.current_time() >= deadline:
                return self._unknown("late", LATE, question.shown)
        return await self._first(question, deadline)

    async def _first(self, question: Question, deadline: float) -> Assessment:
        """Ask, if one may ask now; others share the answer."""
        if len(self._flights) >= self.options.concurrent:
            return self._unknown("busy", "is not asked: too many look-ups are open", question.shown)
        now = self._clock.mono()
        if not self._breaker.closed(now):
            return self._unknown("paused", f"is not asked: it {self._breaker.why}", question.shown)
        if spent := self._bucket.take(now, self._clock.wall()):
            self._breaker.given_up()
            return self._unknown("spent", f"is not asked: {spent}", question.shown)
        flight = self._flights[question.path] = _Flight()
        self._counts["asked"] += 1
        try:
            outcome = await self._asked(question, deadline)
            flight.found = outcome.assessment
        finally:
            del self._flights[question.path]
            flight.done.set()
            if flight.found is None:  # whoever asked was cancelled: that says nothing of the service
                self._breaker.given_up()
        self._noted(question, outcome)
        return outcome.assessment

    async def _asked(self, question: Question, deadline: float) -> Read:
        """Return what came of asking."""
        why = LATE
        with trio.move_on_at(deadline):
            try:
                reply = await (await self._opened()).get(question.path)
                return read(reply, question, self._clock.wall())
            except Unreachable as exc:
                why = str(exc)
            except Exception as exc:  # noqa: BLE001 - a fault in a library must not stop a judgement
                why = f"cannot be asked ({type(exc).__name__})"
        return Read(unknown(why, question.shown), fault=Fault(why))

    async def _opened(self) -> "Exchange":
        """Return what asks. The first time its libraries are imported and certificates read, which takes long."""
        if self._exchange is None and self._backend is not None:
            self._exchange = self._made()
        if self._exchange is None:
            self._exchange = await trio.to_thread.run_sync(self._made, abandon_on_cancel=True)
        return self._exchange

    def _made(self) -> "Exchange":
        from defender.intel.exchange import Exchange

        return Exchange(self.options.base, self.options.key, self._backend)

    def _noted(self, question: Question, outcome: Read) -> None:
        now = self._clock.mono()
        if outcome.fault is None:
            self._breaker.good()
        else:
            self._counts["failed"] += 1
            fault = outcome.fault
            self._breaker.bad(fault.why, now, at_once=fault.at_once, pause=fault.pause)
        if outcome.holds:
            self._cache.put(question.path, outcome.assessment, now + round(outcome.holds * SECOND))

    def _unknown(self, kind: str, why: str, shown: str) -> Assessment:
        self._counts[kind] += 1
        return unknown(why, shown)
