"""What an answer of VirusTotal means: an assessment, how long it holds, and whether the service is well. Pure.

Source: DEFENDER section 5. Of a report only `last_analysis_stats` decides. An answer that is not understood in full is
no answer: unknown. A report without any verdict is unknown, as is a 404: nobody has looked, which is not clean.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from attrs import frozen

from defender.findings import Assessment, Signal
from defender.intel.addresses import Question
from runtime.errors import RemoteError
from runtime.vocab import Decision

BLOCKED_FROM: Final = 3
"""So many engines that say malicious are a block; fewer are a review."""
LARGEST: Final = 1 << 20
"""Bytes of an answer that is read. Reading more JSON at once would hold up everybody else."""
MOST_COUNT: Final = 10_000
HOLDS: Final[Mapping[str, float]] = {"malicious": 86_400.0, "suspicious": 3_600.0, "clean": 3_600.0, "unknown": 900.0}
"""Seconds that a finding is taken from the cache."""
_STATS: Final = ("malicious", "suspicious", "harmless", "undetected")
_KEY_WRONG: Final = frozenset({401, 403})


class Unreachable(RemoteError):
    """No answer came. The text names the kind of fault, and nothing that was sent."""

    code = "intel_unreachable"


@frozen
class Reply:
    """An answer as it came: status, content type, wishes, and a body of LARGEST bytes at most (`whole`: all of it)."""

    status: int
    kind: str = ""
    body: bytes = b""
    whole: bool = True
    encoded: bool = False
    retry_after: str = ""


@frozen
class Fault:
    """The service is not well. `at_once`: do not ask again before `pause` seconds, or a usual time, are over."""

    why: str
    at_once: bool = False
    pause: float | None = None


@frozen
class Read:
    """What an answer comes to. `holds` seconds it may be taken from the cache, 0: not at all."""

    assessment: Assessment
    holds: float = 0.0
    fault: Fault | None = None


def unknown(why: str, shown: str = "") -> Assessment:
    """Return the assessment of what nothing is known of: no reason to hold it up, and none to let it go."""
    return Assessment(0.0, Decision.ALLOW, (Signal("intel.unknown", 0.0, f"VirusTotal: {why}.", shown),))


def read(reply: Reply, question: Question, wall: int) -> Read:
    """Read an answer. Never raises."""
    status = reply.status
    if status == 200:
        return _report(reply, question)
    if status == 404:
        what = "URL" if question.kind == "url" else "file"
        return Read(unknown(f"does not know this {what}", question.shown), HOLDS["unknown"])
    said = _error(reply)
    if status in _KEY_WRONG:
        fault = Fault(f"does not take the key ({status}{said})", at_once=True, pause=3_600.0)
    elif status == 429:
        fault = Fault(f"has had enough questions ({status}{said})", at_once=True, pause=_pause(reply, wall))
    elif status >= 500:
        fault = Fault(f"is not well ({status}{said})", pause=_pause(reply, wall))
    elif 300 <= status < 400:
        fault = Fault(f"sends elsewhere ({status}), and the key goes nowhere else")
    else:  # 400, 409, 424: this question, not the service
        return Read(unknown(f"has no answer to this ({status}{said})", question.shown), 60.0)
    return Read(unknown(fault.why, question.shown), 0.0, fault)


def _report(reply: Reply, question: Question) -> Read:
    attributes = _attributes(reply, question)
    if isinstance(attributes, str):
        return _broken(attributes, question)
    stats = attributes.get("last_analysis_stats")
    if not isinstance(stats, Mapping):
        return Read(unknown("has no verdicts on this", question.shown), HOLDS["unknown"])
    counts = {name: stats.get(name, 0) for name in _STATS}
    if any(type(count) is not int or not 0 <= count <= MOST_COUNT for count in counts.values()):
        return _broken("its counts are none", question)
    return _weighed(counts, _asked(attributes), question)


def _weighed(counts: Mapping[str, int], when: str, question: Question) -> Read:
    malicious, suspicious = counts["malicious"], counts["suspicious"]
    total, what = sum(counts.values()), "URL" if question.kind == "url" else "file"
    if not total:
        return Read(unknown("has no verdicts on this", question.shown), HOLDS["unknown"])
    about = f"of {total} engines{when}"
    if malicious >= BLOCKED_FROM:
        risk, reason = min(0.99, 0.85 + 0.02 * malicious), f"{malicious} {about} call this {what} malicious"
        return _found("malicious", risk, reason, Decision.BLOCK, question)
    if malicious or suspicious:
        risk = min(0.75, 0.55 + 0.1 * malicious + 0.05 * suspicious)
        reason = f"{malicious} {about} call this {what} malicious, {suspicious} suspicious"
        return _found("suspicious", risk, reason, Decision.REVIEW, question)
    return _found("clean", 0.0, f"none {about} has anything against this {what}", Decision.ALLOW, question)


def _found(name: str, risk: float, reason: str, decision: Decision, question: Question) -> Read:
    signal = Signal(f"intel.{name}", risk, f"VirusTotal: {reason}.", question.shown, decision)
    return Read(Assessment(risk, decision, (signal,)), HOLDS[name])


def _attributes(reply: Reply, question: Question) -> Mapping[str, Any] | str:
    """Return the attributes of a report on what was asked, or what is wrong with it."""
    if not reply.whole:
        return f"its answer is longer than {LARGEST} bytes"
    if reply.encoded or reply.kind.partition(";")[0].strip().lower() != "application/json":
        return "its answer is no JSON"
    try:
        data = json.loads(reply.body)["data"]
        kind, name, attributes = data["type"], data["id"], data["attributes"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return "its answer is no report"
    if kind != question.kind or not isinstance(attributes, Mapping):
        return "its answer is no report"
    if question.kind == "file" and question.name not in (name, attributes.get("sha256")):
        return "its answer is about something else"
    return attributes


def _broken(why: str, question: Question) -> Read:
    return Read(unknown(why, question.shown), 0.0, Fault(why))


def _asked(attributes: Mapping[str, Any]) -> str:
    """Return when the engines looked last, as part of a sentence."""
    when = attributes.get("last_analysis_date")
    if type(when) is not int or not 0 < when < 2**33:
        return ""
    return f", asked on {datetime.fromtimestamp(when, UTC):%Y-%m-%d},"


def _error(reply: Reply) -> str:
    """Return the code of an error, if it has one that can be shown. Its message may repeat anything: left out."""
    try:
        code = json.loads(reply.body[:10_000])["error"]["code"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return ""
    return f" {code}" if isinstance(code, str) and code.isascii() and code.isalnum() and len(code) < 50 else ""


def _pause(reply: Reply, wall: int) -> float | None:
    """Return how many seconds `Retry-After` asks for (RFC 9110 section 10.2.3), or None."""
    text = reply.retry_after.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - wall / 1000
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
