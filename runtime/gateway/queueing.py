"""What happens to a message for a session that is busy: mode, cap, drop policy and quiet window. Pure.

Rules (CONTRACT section 6, and the peer's `/queue`): the command's options go before the settings; the cap counts the
messages of clients that wait for their turn (`followup`, `collect`). Where one more is too many, `new` refuses it,
`old` gives up the oldest, and `summarize` folds the oldest into one message that tells of them. They are taken when
the session is at rest and nothing has come for the length of the quiet window.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from runtime.config.openclaw.model import Queue
from runtime.gateway import keys
from runtime.gateway.entries import Entry
from runtime.vocab import JsonObject, Message

MODES: Final = ("steer", "followup", "collect", "interrupt")
WAITING: Final = ("followup", "collect")
"""Modes in which a message waits for its turn."""
DROPS: Final = ("old", "new", "summarize")
MEMBERS: Final = ("queueCap", "queueDrop", "queueDebounceMs")
"""Where an entry keeps the options of its session."""
WEB: Final = "webchat"
"""The channel of who speaks to the gateway itself."""
MOST_CAP: Final = 1_000
"""A lane is part of the state and counts into each digest, so that a longer one would slow every step."""
LONGEST_QUIET: Final = 3_600_000
COLLECTED: Final = "[Queued messages while agent was busy]"
LEFT_OUT: Final = "[Queue overflow] {} message(s) did not fit into the queue and are not answered one by one. In short:"
LINE: Final = 160
"""Characters of a message that the note about it keeps."""
UNITS: Final = {"": 1, "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@frozen(kw_only=True)
class Queueing:
    """How messages for one session wait. `quiet` is the quiet window in seconds."""

    mode: str = "steer"
    cap: int = 20
    drop: str = "summarize"
    quiet: float = 0.5

    @property
    def shown(self) -> str:
        """The options as a person reads them."""
        return f"mode={self.mode}, debounce={round(self.quiet * 1000)}ms, cap={self.cap}, drop={self.drop}"


NEXT: Final = Queueing(mode="followup", quiet=0)
"""For who waits for an answer of its own (`agent`, HTTP, jobs): the message is not dropped, and not held up."""


def queueing_of(settings: Queue, entry: Entry) -> Queueing:
    """Return how messages wait for a session."""
    route = keys.route_of(entry.key)
    channel = (route.channel if route is not None else None) or WEB
    chosen = entry.members.get("queueDebounceMs")
    usual = settings.debounce_by_channel.get(channel, settings.debounce_seconds)
    return Queueing(
        mode=entry.queue or settings.by_channel.get(channel) or settings.mode,
        cap=min(entry.members.get("queueCap") or max(1, settings.cap), MOST_CAP),
        drop=entry.members.get("queueDrop") or settings.drop,
        quiet=usual if chosen is None else chosen / 1000,
    )


# --- the command


@frozen
class Asked:
    """What `/queue` wants: members to change, and what is told. Nothing is changed where something is wrong."""

    told: str
    mode: str | None = None
    options: JsonObject | None = None
    reset: bool = False


def asked(text: str, now: Queueing) -> Asked:
    """Read what stands after `/queue`: a mode, options, both, `default`, or nothing."""
    words = text.lower().split()
    if not words:
        return Asked(f"Queue: {now.shown}. Modes: {', '.join(MODES)}; debounce:500ms, cap:20, drop:{'|'.join(DROPS)}.")
    if words in (["default"], ["reset"]):
        return Asked("Queue: as the settings say.", reset=True)
    mode: str | None = None
    options: dict[str, object] = {}
    wrong: list[str] = []
    for word in words:
        name, colon, value = word.partition(":")
        if colon and name in OPTIONS:
            member, read, form = OPTIONS[name]
            found = read(value)
            options[member] = found
            if found is None:
                wrong.append(f"{name}:{value} is not {form}.")
        elif word in MODES:
            mode = word
        else:
            wrong.append(f"There is no queue mode {word!r}; there are {', '.join(MODES)}.")
    if wrong:
        return Asked(" ".join(wrong))
    return Asked("", mode, options)


def _cap(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_CAP else None


def _quiet(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d|)", text)
    if found is None:
        return None
    ms = round(float(found[1]) * UNITS[found[2]])
    return ms if ms <= LONGEST_QUIET else None


def _drop(text: str) -> str | None:
    return text if text in DROPS else None


OPTIONS: Final = {
    "cap": ("queueCap", _cap, f"a number from 1 to {MOST_CAP}"),
    "debounce": ("queueDebounceMs", _quiet, "a time of an hour at most, like 500ms or 2s"),
    "drop": ("queueDrop", _drop, f"one of {', '.join(DROPS)}"),
}


# --- messages put together


def collected(messages: Sequence[Message], senders: Iterable[str]) -> Message:
    """Return one message of several, with the labels of all; it has no id yet."""
    text, more = COLLECTED, list[JsonObject]()
    for n, (one, sender) in enumerate(zip(messages, senders, strict=True), 1):
        said, rest = split(one)
        text += f"\n\n---\nQueued #{n} (from {sender})\n{said}"
        more += rest
    return evolve(messages[0], id="", text=text, parts=({"text": text}, *more), labels=labels_of(messages))


def labels_of(messages: Iterable[Message]) -> tuple[str, ...]:
    """Return the labels of all of several messages."""
    return tuple(dict.fromkeys(label for one in messages for label in one.labels))


def summed_up(before: str | None, dropped: Sequence[Message], most: int) -> str:
    """Return the text that tells of messages that were dropped: how many, and the last `most` of them in a line each.

    `before` is such a text about those that were dropped earlier.
    """
    count, lines = len(dropped), [f"- {_line(split(one)[0])}" for one in dropped]
    if before is not None:
        head, *earlier = before.split("\n")
        number = re.search(r"[0-9]+", head)
        count, lines = count + (int(number[0]) if number else 0), [*earlier, *lines]
    return "\n".join([LEFT_OUT.format(count), *lines[-most:]])


def split(message: Message) -> tuple[str, tuple[JsonObject, ...]]:
    """Return what was said in a message, and its further parts: pictures, and files that are text."""
    first = message.parts[0].get("text") if message.parts else None
    return (first, message.parts[1:]) if isinstance(first, str) else (message.text, message.parts)


def _line(text: str) -> str:
    line = " ".join(text[: 4 * LINE].split())
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"
