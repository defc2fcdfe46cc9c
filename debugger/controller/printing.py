"""What a running tool has printed since the last report. Pure but for what it remembers.

A tool reports the last characters that it printed (`ToolContext.live`), so one report holds much of the one before. Who
is attached is told each character once.
"""

from typing import Final

from attrs import define, field

LONGEST: Final = 16_000
"""Characters of a report that is compared with the next one. Our tools give fewer; a longer one is not kept."""


@define(eq=False)
class Printing:
    """The last report of each running call."""

    _last: dict[str, dict[str, str]] = field(factory=dict)

    def fresh(self, session: str, call: str, text: str) -> str:
        """Return what a report has that the one before had not; all of it where nothing goes on from there."""
        of_session = self._last.setdefault(session, {})
        before, of_session[call] = of_session.get(call, ""), text if len(text) <= LONGEST else ""
        return text[_known(before, text) :]

    def over(self, session: str, call: str) -> None:
        """Forget a call that has ended."""
        self._last.get(session, {}).pop(call, None)

    def forget(self, session: str) -> None:
        """Forget a session."""
        self._last.pop(session, None)


def _known(before: str, text: str) -> int:
    """Return how many characters at the beginning of a report stood at the end of the one before: as many as can be."""
    if text.startswith(before):
        return len(before)
    start = 0
    while text and (start := before.find(text[0], start)) >= 0:
        if text.startswith(before[start:]):
            return len(before) - start
        start += 1
    return 0
