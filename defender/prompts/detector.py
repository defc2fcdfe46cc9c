"""The verdict on a text: every reading of it is scored, the worst one counts."""

from typing import Final

from attrs import frozen

from defender.findings import THRESHOLD, Assessment, Signal
from defender.prompts import SecondStage
from defender.prompts import model as weights
from defender.prompts.ngrams import canonical, words
from defender.prompts.normal import Normal, normalise
from defender.prompts.patterns import evidence, rows
from defender.prompts.signs import possible, shown
from defender.prompts.views import views
from runtime.vocab import Decision

MOST: Final = 131_072
"""Characters of a text that are looked at: of a longer one three quarters of them at its head, the rest at its end."""
BLOCK: Final = 0.8
GREY: Final = (0.3, BLOCK)
"""From and up to which score a second stage, if there is one, is asked."""
_FAR: Final = 1.5
"""What cannot come nearer than this to a review, whatever it shows, is not searched for patterns."""
_TOLD: Final = 8
"""Signals that a verdict names."""


@frozen
class Reading:
    """One reading of a text with its raw score, the places in `signs.names` of what it shows, and how
    far into the text its worst window begins (0 to 1).
    """

    decoder: str
    text: str
    raw: float
    shown: tuple[int, ...]
    at: float


def judge(text: object, second: SecondStage | None = None) -> Assessment:
    """Return the assessment of a text (see `defender.prompts.assess`)."""
    if isinstance(text, bytes | bytearray | memoryview):
        text = bytes(text[: 4 * MOST + 4]).decode("utf-8", "replace")
    if not isinstance(text, str):
        return Assessment(THRESHOLD, Decision.REVIEW, (_UNKNOWN,))
    long = len(text) > MOST
    if long:
        text = text[: MOST * 3 // 4] + "\n" + text[-MOST // 4 :]
    normal = normalise(text)
    model = weights.shipped()
    reading = _worst(normal, model)
    score = model.score(reading.raw)
    if second is not None and GREY[0] <= score < GREY[1]:
        score = min(1.0, max(0.0, second.score(reading.text)))
    told = tuple(_signals(reading, normal, score))
    if long:
        score, told = max(score, THRESHOLD), (*told, _LONG)
    return Assessment(score, decision(score), told)


def decision(score: float) -> Decision:
    """Return what a score means."""
    if score >= BLOCK:
        return Decision.BLOCK
    return Decision.REVIEW if score >= THRESHOLD else Decision.ALLOW


def worst(text: str, model: weights.Model) -> Reading:
    """Return the reading of a text that a model finds worst."""
    return _worst(normalise(text), model)


def _worst(normal: Normal, model: weights.Model) -> Reading:
    return max(readings(normal, model), key=lambda reading: reading.raw)


def readings(normal: Normal, model: weights.Model) -> list[Reading]:
    """Return the text as it stands and all that it decodes to, each with its raw score."""
    form = canonical(normal.text)
    found = words(form)
    made = [_read("", normal.text, form, found, model)]
    made += [_view(view.decoder, view.text, model) for view in views(normal.text, form, found)]
    if normal.hidden:
        made.append(_view("tags", normal.hidden, model))
    return made


def _view(decoder: str, text: str, model: weights.Model) -> Reading:
    form = canonical(text)
    return _read(decoder, text, form, words(form), model)


def _read(decoder: str, text: str, form: bytes, found: list[bytes], model: weights.Model) -> Reading:
    windows = model.windows(form, found)
    top = max(windows)
    raw, at = model.bias + top, windows.index(top) / (len(windows) + 1)
    places = [place for place in possible(text, found) if model.adds[place]]
    if raw + sum(map(model.adds.__getitem__, places)) < model.review - _FAR:
        return Reading(decoder, text, raw, (), at)
    seen = shown(text, places)
    return Reading(decoder, text, raw + sum(map(model.adds.__getitem__, seen)), tuple(seen), at)


def _signals(said: Reading, normal: Normal, score: float) -> list[Signal]:
    if score < THRESHOLD:
        return []
    made = [
        Signal(f"prompt.{rows()[place].id}", score, rows()[place].reason, evidence(place, said.text.encode()))
        for place in said.shown[:_TOLD]
    ]
    if said.decoder:
        reason = f"It reads like an injection once it is decoded ({said.decoder})."
        made.append(Signal("prompt.encoded", score, reason, said.text))
    if normal.dropped or normal.turned or normal.mixed:
        made.append(
            Signal("prompt.disguised", score, "Characters that are invisible, turned or look alike hide words.")
        )
    window = said.text[int(said.at * len(said.text)) :].lstrip()
    return [*made, Signal("prompt.model", score, "Its wording resembles known injections.", window)]


_UNKNOWN: Final = Signal("prompt.kind", THRESHOLD, "It is no text, so nothing can be said of it.", "", Decision.REVIEW)
_LONG: Final = Signal(
    "prompt.long", THRESHOLD, f"Of more than {MOST} characters only a part was read.", "", Decision.REVIEW
)
