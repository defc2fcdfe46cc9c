r"""Text that is looked for in what is about to be delivered, also where it arrives in pieces. Pure, in linear time.

A match is found with the piece that completes it, however the text was cut. Where a pattern asks what follows (`\b`,
`$`), it is found with the piece that answers this, or at the end of the stream. A match may be WINDOW characters long;
what reaches further back is not seen.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import define, frozen

from debugger.border import Border
from debugger.breakpoints.spec import BadSpec
from runtime.step import StepKind
from runtime.step.events import Chunk, Finished
from runtime.step.response import text_of
from runtime.vocab import JsonObject

WINDOW: Final = 4_096
MEMORY: Final = 1 << 20
"""Bytes that one regular expression may take."""
_PROBES: Final = ("", "a", " a ", "  ")
BORDERS: Final = frozenset({StepKind.MODEL_CHUNK, StepKind.MODEL_RESPONSE, StepKind.CALL_RESULT})
"""The steps before which there is text to look at."""

Ends = Callable[[str, int, int], Iterator[int]]
"""Takes text, where to begin and where to end in it; gives the ends of the matches there, which do not overlap. What is
around that part counts for what looks around (`^`, `\b`)."""


@frozen
class Pattern:
    r"""A literal, or a regular expression between slashes (`/rm\s+-rf/`, `/secret/i`).

    `final` says whether the text is whole. Where it is not, a match counts only if it is one whatever comes next: part
    of a word, or not.
    """

    source: str
    ends: Ends

    def first(self, text: str, begin: int, final: bool) -> int | None:
        """Return the end of the first match from `begin` on, or None."""
        size = len(text)
        if final:
            return next(self.ends(text, begin, size), None)
        if next(self.ends(text + "a", begin, size), None) is None:
            return None
        return next(self.ends(text + " ", begin, size), None)

    def last(self, text: str, begin: int, final: bool) -> int:
        """Return the end of the last match from `begin` on, or `begin`."""
        size = len(text)
        if final:
            return max(self.ends(text, begin, size), default=begin)
        return max(set(self.ends(text + "a", begin, size)) & set(self.ends(text + " ", begin, size)), default=begin)


def pattern(source: str) -> Pattern:
    """Return the pattern that a text means. Raises BadSpec for one that cannot be, or that any text would match."""
    body, slash, flags = source[1:].rpartition("/") if source.startswith("/") else ("", "", "")
    if not slash or flags not in ("", "i"):
        return Pattern(source, _literal(source))
    if not body:
        raise BadSpec("text", "nothing stands between the slashes", 1)
    return Pattern(source, _regex(body, ignore_case=bool(flags)))


def _literal(wanted: str) -> Ends:
    def ends(text: str, begin: int, end: int) -> Iterator[int]:
        found = text.find(wanted, begin, end)
        while found >= 0:
            yield found + len(wanted)
            found = text.find(wanted, found + len(wanted), end)

    return ends


def _regex(body: str, *, ignore_case: bool) -> Ends:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.max_mem = MEMORY
    try:
        matches = re2.compile(body, options=options).finditer
    except re2.error as exc:
        why = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise BadSpec("text", f"is no regular expression: {why}", 1) from None
    if any(match.start() == match.end() for probe in _PROBES for match in matches(probe, 0, len(probe))):
        raise BadSpec("text", "matches the empty text, and so nearly everywhere", 1)

    def ends(text: str, begin: int, end: int) -> Iterator[int]:
        return (match.end() for match in matches(text, begin, end))

    return ends


@define(eq=False)
class Stream:
    """The text of an answer under way as one session brings it: the last WINDOW characters, and the piece at hand.

    `begin` is where in the whole text `text` begins, `old` how much of `text` was delivered before. `run` counts the
    answers, and the places where pieces came in that nobody was asked about.
    """

    text: str = ""
    begin: int = 0
    old: int = 0
    run: int = 0
    final: bool = False
    _seen: int = 0
    _last: JsonObject | None = None
    _border: Border | None = None

    def look(self, border: Border) -> None:
        """Take in what the border is about to deliver. Asking again about one border changes nothing."""
        if self._border is border:
            return
        self._border = border
        event = border.event
        turn = border.state.turn
        chunks = turn.chunks if turn is not None else ()
        if not chunks or len(chunks) != self._seen or chunks[-1] is not self._last:
            self._anew(chunks)
        piece = clean(text_of(event.data)) if isinstance(event, Chunk) else ""
        cut = max(0, len(self.text) - WINDOW)
        self.old = len(self.text) - cut
        self.text, self.begin = self.text[cut:] + piece, self.begin + cut
        self.final = not isinstance(event, Chunk)
        if isinstance(event, Chunk):
            self._seen, self._last = len(chunks) + 1, event.data

    def _anew(self, chunks: Any) -> None:
        pieces: list[str] = []
        size = 0
        for chunk in reversed(chunks):
            pieces.append(text_of(chunk))
            size += len(pieces[-1])
            if size > WINDOW:
                break
        self.text, self.begin, self.run = clean("".join(reversed(pieces))), 0, self.run + 1


@define
class Sought:
    """How far one breakpoint has looked in the stream of one session: matches up to there are not found again."""

    run: int = -1
    up_to: int = 0

    def found(self, wanted: Pattern, stream: Stream) -> bool:
        """Whether the piece at hand completes a match."""
        low = 1 if stream.begin else 0  # so that the edge of the window is not taken for the beginning of the text
        if self.run != stream.run:
            delivered = stream.text[: stream.old]
            self.run = stream.run
            self.up_to = stream.begin + (wanted.last(delivered, low, False) if len(delivered) > low else low)
        at = max(self.up_to - stream.begin, low)
        end = wanted.first(stream.text, at, stream.final) if at <= len(stream.text) else None
        if end is None:
            return False
        # Of what is delivered with this stop, only the last matches can have to do with the next piece.
        near = max(end, len(stream.text) - WINDOW)
        self.up_to = stream.begin + wanted.last(stream.text, near, stream.final)
        return True


def result_text(border: Border) -> str:
    """Return the output of the tool that is about to be delivered, or why there is none."""
    event = border.event
    if not isinstance(event, Finished):
        return ""
    return clean(event.result.output or (event.result.error.message if event.result.error else ""))


def clean(text: str) -> str:
    """Return the text without lone surrogates, which no encoding takes."""
    return text if text.isascii() else text.encode(errors="replace").decode()
