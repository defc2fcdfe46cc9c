"""The listing: a text with one line for each kind of step, nested by indentation. Pure.

An editor that knows nothing but files and lines shows it, sets breakpoints on its lines, and sees in it where a session
stands. Lines that begin with `#` name no step.
"""

from collections.abc import Mapping
from typing import Final

from runtime.step import StepKind

NAME: Final = "twinstep.steps"
_K: Final = StepKind
_LINES: Final[tuple[tuple[int, StepKind | str], ...]] = (
    (0, "# The steps of a session, in their order; what is indented belongs to what stands above it."),
    (0, "# A breakpoint on a line stops before that step. docs/reference/steps.md says what each does."),
    (0, _K.SESSION_OPEN),
    (0, _K.SESSION_FORK),
    (0, _K.MESSAGE_RECEIVE),
    (1, _K.MESSAGE_SCREEN),
    (1, _K.TURN_START),
    (2, _K.CONTEXT_BUILD),
    (2, _K.CONTEXT_COMPRESS),
    (2, _K.HOOK_RUN),
    (2, _K.MODEL_REQUEST),
    (3, _K.MODEL_CHUNK),
    (3, _K.RETRY_WAIT),
    (2, _K.MODEL_RESPONSE),
    (2, _K.CALL_JUDGE),
    (3, _K.CALL_APPROVE),
    (3, _K.CALL_RUN),
    (3, _K.CALL_RESULT),
    (2, _K.TURN_END),
    (1, _K.REPLY_JUDGE),
    (1, _K.REPLY_SEND),
    (0, _K.SESSION_CLOSE),
    (0, "# What people and the program do to a session; a breakpoint on one of these lines stops after it."),
    *((0, kind) for kind in StepKind if kind.value.startswith("control.")),
)
TEXT: Final = "".join(f"{'  ' * depth}{one if isinstance(one, str) else one.value}\n" for depth, one in _LINES)
KINDS: Final[Mapping[int, str]] = {
    number: one.value for number, (_, one) in enumerate(_LINES, 1) if isinstance(one, StepKind)
}
"""The kind of each line that names one; lines count from 1."""
LINES: Final[Mapping[str, int]] = {kind: number for number, kind in KINDS.items()}
"""The line of each kind."""


def line_of(kind: str) -> int:
    """Return the line of a kind; the first one for a kind that this version does not know."""
    return LINES.get(kind, 1)


def kind_at(line: int) -> tuple[int, str] | None:
    """Return the kind that a breakpoint on a line means, with its line: that line, or the next one that names a step.

    None behind the last one, and before the first line.
    """
    if line < 1:
        return None
    found = next((number for number in KINDS if number >= line), None)
    return None if found is None else (found, KINDS[found])
