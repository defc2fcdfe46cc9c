"""What can go wrong with an expression: it is no expression, or it costs too much."""

from typing import ClassVar

from runtime.errors import RemoteError


class BadExpression(RemoteError):
    """The text is no expression of this language. Raised when it is compiled, never later.

    `source` is the whole text; `position` is the place in it that is wrong, in characters from 0; `reason` is one
    sentence without the place.
    """

    code: ClassVar[str] = "bad_expression"

    def __init__(self, message: str, source: str, position: int) -> None:
        super().__init__(f"at {position}: {message}")
        self.reason = message
        self.source = source
        self.position = position


class ExpressionFailed(RemoteError):
    """An evaluation would cost more than it may (`debugger.expressions.bounds`). It has no value."""

    code: ClassVar[str] = "expression_failed"
