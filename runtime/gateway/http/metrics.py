"""GET /metrics: the text that Prometheus scrapes (format 0.0.4). Names no session, no message and no person.

Written by hand: the format is a few lines, and the library for it costs more at import than the whole HTTP side.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from attrs import frozen

from runtime import __version__
from runtime.gateway.http.access import Visit
from runtime.gateway.http.wire import Answer
from runtime.gateway.pulse import resident
from runtime.gateway.security import Security

if TYPE_CHECKING:
    from runtime.gateway.http.app import Surface

KIND: Final = "text/plain; version=0.0.4; charset=utf-8"

SUFFIX: Final = "suffix"

Samples = Iterable[tuple[Mapping[str, str], float]]


@frozen
class Family:
    """One metric: its name without the prefix, its type, what it is, and its samples. A label `suffix` is no label but
    ends the name of its sample, as those of a histogram do."""

    name: str
    type: str
    about: str
    samples: Samples

    def lines(self) -> Iterable[str]:
        """The metric as Prometheus reads it."""
        name = f"twinstep_{self.name}"
        yield f"# HELP {name} {self.about}"
        yield f"# TYPE {name} {self.type}"
        for labels, value in self.samples:
            told = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items() if key != SUFFIX)
            whole = name + labels.get(SUFFIX, "")
            yield f"{whole}{{{told}}} {value:.15g}" if told else f"{whole} {value:.15g}"


def escaped(text: str) -> str:
    """The value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def alone(value: float) -> Samples:
    """One sample without labels."""
    return [({}, value)]


def by(label: str, counts: Mapping[str, float]) -> Samples:
    """A sample for each name."""
    return [({label: name}, value) for name, value in sorted(counts.items())]


async def metrics(visit: Visit) -> Answer:
    """Return all metrics."""
    text = "".join(f"{line}\n" for family in families(visit.surface) for line in family.lines())
    return Answer(200, text.encode(), KIND, (("cache-control", "no-store"),))


def families(surface: "Surface") -> Iterable[Family]:
    """Every metric, with its value now."""
    desk = surface.desk
    pulse, store = desk.extras.get("pulse"), desk.dispatcher.journal.store
    counts = desk.dispatcher.statistics()
    yield Family("build_info", "gauge", "What is running.", [({"version": __version__, "boot": desk.boot}, 1)])
    yield Family("ready", "gauge", "Whether work can be done.", alone(desk.ready and not desk.draining))
    yield Family("uptime_seconds", "gauge", "Time since start.", alone((desk.clock.wall() - desk.started) / 1000))
    yield Family("resident_bytes", "gauge", "Resident set of the process.", alone(resident()))
    if pulse is not None:
        shown = pulse.shown()
        yield Family(
            "loop_delay_max_seconds", "gauge", "Latest wake-up of a minute.", alone(shown["delayMaxMs"] / 1000)
        )
        yield Family("cpu_cores", "gauge", "Cores in use, of the last second.", alone(shown["cpuCoreRatio"]))
    yield Family("sessions", "gauge", "Sessions that are known.", alone(len(desk.directory)))
    yield Family("sessions_live", "gauge", "Sessions in memory.", alone(len(desk.runs.roster.live)))
    yield Family("prompts_open", "gauge", "Prompts under way.", alone(counts["open"]))
    yield Family("sessions_ready", "gauge", "Sessions that could take a step.", alone(counts["ready"]))
    yield Family("prompts_queued", "gauge", "Sessions that wait until fewer prompts are open.", alone(counts["queued"]))
    yield Family("complaints", "gauge", "Troubles noted, of the last hundred.", alone(counts["complaints"]))
    yield Family("runs_total", "counter", "Runs by what became of them.", by("outcome", desk.runs.counts))
    yield Family(
        "queue_overflow_total",
        "counter",
        "Messages that did not fit into the queue of their session, by what became of them.",
        by("drop", desk.runs.overflows),
    )
    yield Family("connections", "gauge", "WebSocket connections that said hello.", alone(len(desk.connections)))
    yield Family("slow_consumers_total", "counter", "Connections closed for not reading.", alone(desk.hub.dropped))
    yield Family("http_streams", "gauge", "HTTP requests that wait for a run.", alone(len(surface.turns.watches)))
    yield Family("http_requests_total", "counter", "Requests by route and status.", _requests(surface))
    yield Family("events_total", "counter", "Events told, by name.", by("event", surface.turns.events))
    debugging = desk.extras.get("debugging")
    if debugging is not None:
        shown = debugging.shown()
        yield Family("debugger_connections", "gauge", "Debuggers that are connected.", alone(shown["connections"]))
        yield Family("debugger_sessions_held", "gauge", "Sessions that stand still.", alone(shown["held"]))
        yield Family("debugger_stops_total", "counter", "Times that a session was stopped.", alone(shown["stops"]))
        yield Family(
            "debugger_sessions_touched", "gauge", "Sessions in memory that were changed.", alone(shown["touched"])
        )
    if "security" in desk.extras:
        yield from _of_defender(desk.extras["security"])
    yield Family("journal_full", "gauge", "Whether sessions wait for the disk.", alone(store.full))
    yield Family("journal_unflushed", "gauge", "Whether records wait to be handed on.", alone(store.unflushed))
    waiting = getattr(store, "waiting", None)
    if waiting is not None:
        yield Family("journal_backlog_records", "gauge", "Records that wait to be written.", alone(waiting))


def _of_defender(security: Security) -> Iterable[Family]:
    shown, measured = security.shown(), security.measured()
    yield Family("defender_waiting", "gauge", "Evaluations that wait for a place.", alone(shown["waiting"]))
    yield Family("defender_running", "gauge", "Evaluations under way.", alone(shown["running"]))
    yield Family("defender_lookups", "gauge", "Look-ups at other services under way.", alone(shown["lookups"]))
    yield Family("defender_cached", "gauge", "Assessments kept for equal content.", alone(shown["cached"]))
    yield Family("defender_cache_hits_total", "counter", "Assessments from before.", alone(shown["cache_hits"]))
    yield Family("defender_events_suppressed_total", "counter", "Events not told.", alone(security.suppressed))
    if measured is None:
        return
    decisions = [
        ({"kind": kind, "decision": decision, "rule": rule}, count)
        for (kind, decision, rule), count in sorted(measured.decisions.items())
    ]
    yield Family("defender_decisions_total", "counter", "Decisions by kind, decision and rule.", decisions)
    yield Family(
        "defender_faults_total", "counter", "What could not be decided, and why.", by("fault", measured.faults)
    )
    yield Family(
        "defender_evaluation_microseconds", "histogram", "Time of an evaluation, with its wait.", _buckets(security)
    )


def _buckets(security: Security) -> Samples:
    measured = security.measured()
    total = 0
    for bound, count in zip((*security.bounds, "+Inf"), measured.buckets if measured else (), strict=False):
        total += count
        yield {SUFFIX: "_bucket", "le": str(bound)}, total
    yield {SUFFIX: "_sum"}, measured.microseconds if measured else 0
    yield {SUFFIX: "_count"}, total


def _requests(surface: "Surface") -> Samples:
    return [({"route": route, "status": str(status)}, n) for (route, status), n in sorted(surface.requests.items())]
