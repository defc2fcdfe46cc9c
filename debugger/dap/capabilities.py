"""What this server can do, and the exceptions that it can stop at. Pure; announces only what works."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen


@frozen
class Filter:
    """An exception: what the editor shows, and what the debugger catches for it. With `asks`, the condition is not an
    expression but the rest of what is caught, and must be there."""

    label: str
    catch: str
    about: str
    default: bool = False
    asks: bool = False


FILTERS: Final[Mapping[str, Filter]] = {
    "defender.block": Filter("Refused by the judge", "block", "a call, message or reply is refused", default=True),
    "defender.ask": Filter("A person is asked", "ask", "the judge wants a person to decide"),
    "defender.would-block": Filter("Would be refused", "would-block", "a rule that is only tried out would refuse"),
    "model.error": Filter("Error of the model", "error", "a request failed, or its answer is no good"),
    "tool.error": Filter("Tool failed", "tool-failure", "a tool has failed, before the model hears of it"),
    "cancelled": Filter("Cancelled", "cancelled", "somebody gave up the prompt"),
    "loop": Filter("Loop of equal calls", "loop", "the model makes the same call again and again"),
    "budget": Filter("Budget spent", "budget", "tokens, seconds or cost have reached a limit", asks=True),
}
"""The exception filters by their names. Editors switch on those that are marked as default."""


def filters() -> list[dict[str, Any]]:
    """Return them as an editor takes them."""
    return [
        {
            "filter": name,
            "label": one.label,
            "description": one.about,
            "default": one.default,
            "supportsCondition": True,
            "conditionDescription": "tokens N, seconds N, or cost N at IN/OUT" if one.asks else "an expression",
        }
        for name, one in FILTERS.items()
    ]


FLAGS: Final = (
    "supportsConfigurationDoneRequest",
    "supportsFunctionBreakpoints",
    "supportsConditionalBreakpoints",
    "supportsHitConditionalBreakpoints",
    "supportsLogPoints",
    "supportsDataBreakpoints",
    "supportsExceptionFilterOptions",
    "supportsExceptionInfoRequest",
    "supportsBreakpointLocationsRequest",
    "supportsLoadedSourcesRequest",
    "supportsModulesRequest",
    "supportsEvaluateForHovers",
    "supportsClipboardContext",
    "supportsCompletionsRequest",
    "supportsSetVariable",
    "supportsSetExpression",
    "supportsStepBack",
    "supportsRestartFrame",
    "supportsRestartRequest",
    "supportsGotoTargetsRequest",
    "supportsStepInTargetsRequest",
    "supportsSteppingGranularity",
    "supportsSingleThreadExecutionRequests",
    "supportsDelayedStackTraceLoading",
    "supportsTerminateRequest",
    "supportsTerminateThreadsRequest",
    "supportTerminateDebuggee",
    "supportSuspendDebuggee",
    "supportsCancelRequest",
)


def capabilities() -> dict[str, Any]:
    """Return the body of the answer to `initialize`."""
    made: dict[str, Any] = dict.fromkeys(FLAGS, True)
    return made | {"exceptionBreakpointFilters": filters(), "completionTriggerCharacters": [".", "["]}
