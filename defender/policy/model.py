"""The policy as values, and the table of its keys. Frozen; reads no file and decides nothing.

KEYS is what a bundle is checked against and what docs/reference/defender-policy.md is made from. A key that is not in
it is refused: a misspelt rule must not pass for one that holds.
"""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from attrs import Factory, fields, frozen

from defender.policy.kinds import DECISION, SHARE, TEXT, TEXTS, Kind, count, word
from runtime.vocab import Decision, digest

VERSION: Final = 1
"""The edition of this table that a bundle is written for."""


@frozen
class Channel:
    """How much what comes by a way counts: `weight` times the risk, and `most`, the strictest that it may lead to."""

    weight: float = 1.0
    most: Decision = Decision.BLOCK


@frozen
class ToolRule:
    """What holds for one tool: the least decision about a call of it, and how much its signals count."""

    floor: Decision = Decision.ALLOW
    weight: float = 1.0


@frozen
class Limits:
    """Bounds of the engine; sizes are characters, times milliseconds."""

    concurrent: int = 8
    queue: int = 1_024
    deadline_ms: int = 3_000
    threads: int = 2
    slice: int = 4_096
    overlap: int = 512
    most: int = 262_144
    cache: int = 4_096
    lookups: int = 64


STRANGER: Final = "stranger"
"""The way of whoever is not known. A way that no row names is taken for this one."""
CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType(
    {
        "cli": Channel(0.0, Decision.ALLOW),
        "person": Channel(1.0, Decision.ALLOW),
        STRANGER: Channel(),
        "result": Channel(),
        "own-result": Channel(0.0, Decision.REVIEW),
        "reply": Channel(),
        "own-reply": Channel(0.0, Decision.REVIEW),
    }
)
CHANNELS_ABOUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cli": "what a person says to a headless run; not looked at, so that nothing has to be loaded for it",
        "person": "what an authenticated person says to the gateway: scored and shown, never held up",
        STRANGER: "messages whose origin is not trusted, and every way that has no row of its own",
        "result": "what a tool brought from outside",
        "own-result": "what a tool brought from a trusted source, such as files of a trusted folder; not looked at",
        "reply": "answers of a session into which anything untrusted has come",
        "own-reply": "answers of a session into which nothing untrusted has come; not looked at",
    }
)


@frozen
class Policy:
    """All that may be decided by whoever operates this. `rules` replaces what single rules demand.

    `consent` are rules of the runtime's own judge by which a person has allowed calls in advance: a review that comes
    from the analysis of a command does not ask that person again.
    """

    name: str = "built-in"
    serial: int = 0
    review: float = 0.5
    block: float = 0.8
    corroboration: float = 0.25
    channels: Mapping[str, Channel] = CHANNELS
    tools: Mapping[str, ToolRule] = MappingProxyType({})
    rules: Mapping[str, Decision] = MappingProxyType({})
    consent: tuple[str, ...] = ("mode.yolo", "permission.exec-full", "tools.core")
    result_review: str = "mark"
    reply_review: str = "send"
    approval_seconds: int = 1_800
    always: str = "never"
    events_per_second: int = 50
    limits: Limits = Factory(Limits)

    def channel(self, name: str) -> Channel:
        """Return what holds for a way; one that is not known counts as that of a stranger."""
        return self.channels.get(name) or self.channels[STRANGER]

    def tool(self, name: str) -> ToolRule:
        """Return what holds for a tool."""
        return self.tools.get(name) or _ANY_TOOL

    @cached_property
    def digest(self) -> str:
        """What names this policy: equal policies have equal digests."""
        plain = [(path, repr(value)) for path, value in sorted(flat(self).items())]
        return digest(repr(plain).encode()).hex()


_ANY_TOOL: Final = ToolRule()


@frozen
class Key:
    """One key of a bundle: where it stands (`*` is any name), its type, its value where nobody sets it, what it is."""

    path: str
    kind: Kind
    default: Any
    meaning: str


KEYS: Final = (
    Key("version", count(VERSION, VERSION), VERSION, "The edition of this table; a bundle has to name it."),
    Key("name", TEXT, "built-in", "What people call this policy."),
    Key(
        "serial",
        count(0, 2**53),
        0,
        "Grows with each edition. While a process runs, a bundle with a smaller number than the one in force is "
        "refused.",
    ),
    Key("thresholds.review", SHARE, 0.5, "From this risk on a person is asked."),
    Key("thresholds.block", SHARE, 0.8, "From this risk on it does not happen. Not below `thresholds.review`."),
    Key("weighing.corroboration", SHARE, 0.25, "How much of a second detector's score is added to the first one's."),
    Key("channels.*.weight", SHARE, 1.0, "How much the risk of what comes this way counts; 0: it is not looked at."),
    Key("channels.*.most", DECISION, Decision.BLOCK, "The strictest that scores of what comes this way may lead to."),
    Key("tools.*.floor", DECISION, Decision.ALLOW, "The least decision about a call of this tool."),
    Key("tools.*.weight", SHARE, 1.0, "How much the risk of what this tool brings counts."),
    Key("rules.*", DECISION, None, "What this rule demands, in place of what it demands by itself."),
    Key(
        "consent.rules",
        TEXTS,
        Policy().consent,
        "Rules of the approval modes by which a person has allowed calls in advance. Commands that would only be asked "
        "about run then; what is blocked stays blocked, and what untrusted content brought about is still asked about.",
    ),
    Key(
        "results.review",
        word("mark", "withhold"),
        "mark",
        "What becomes of the result of a tool that is suspicious and not blocked: its label says so, and whatever it "
        "brings about is asked about; or the model does not get it.",
    ),
    Key(
        "replies.review",
        word("send", "hold"),
        "send",
        "What becomes of an answer that is suspicious and not blocked: it is sent and told of, or it is not sent.",
    ),
    Key("approvals.seconds", count(1, 604_800), 1_800, "How long a person has to answer. Silence is no."),
    Key(
        "approvals.always",
        word("never", "session"),
        "never",
        "Whether a person may answer `allow-always`: then the same call is not asked about again in this session.",
    ),
    Key("events.per_second", count(0, 10_000), 50, "Events `security.decision` told in a second; others are counted."),
    Key("limits.concurrent", count(1, 1_024), 8, "Evaluations under way at a time."),
    Key("limits.queue", count(0, 100_000), 1_024, "Evaluations that wait; one more is answered with review."),
    Key("limits.deadline_ms", count(1, 30_000), 3_000, "Milliseconds for one evaluation; more is a review."),
    Key("limits.threads", count(1, 16), 2, "Threads for content that is too long for the loop."),
    Key("limits.slice", count(256, 65_536), 4_096, "Characters that are looked at before others have their turn."),
    Key("limits.overlap", count(0, 16_384), 512, "Characters that a slice shares with the one before."),
    Key("limits.most", count(4_096, 16_777_216), 262_144, "Characters of a text that are looked at; more is a review."),
    Key("limits.cache", count(0, 1_000_000), 4_096, "Assessments that are kept for equal content."),
    Key("limits.lookups", count(0, 1_024), 64, "Look-ups elsewhere at a time; one more counts as unknown."),
)


def flat(policy: Policy) -> dict[str, Any]:
    """Return all values of a policy by their paths."""
    out: dict[str, Any] = {
        "version": VERSION,
        "name": policy.name,
        "serial": policy.serial,
        "thresholds.review": policy.review,
        "thresholds.block": policy.block,
        "weighing.corroboration": policy.corroboration,
        "consent.rules": policy.consent,
        "results.review": policy.result_review,
        "replies.review": policy.reply_review,
        "approvals.seconds": policy.approval_seconds,
        "approvals.always": policy.always,
        "events.per_second": policy.events_per_second,
    }
    out |= {f"limits.{member.name}": getattr(policy.limits, member.name) for member in fields(Limits)}
    for name, channel in policy.channels.items():
        out |= {f"channels.{name}.weight": channel.weight, f"channels.{name}.most": channel.most}
    for name, tool in policy.tools.items():
        out |= {f"tools.{name}.floor": tool.floor, f"tools.{name}.weight": tool.weight}
    return out | {f"rules.{name}": decision for name, decision in policy.rules.items()}
