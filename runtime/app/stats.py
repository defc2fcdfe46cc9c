"""What a run has cost, counted from its steps, in the shapes that the peer prints (AGENT_LOOP section 8)."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from runtime.ports import Clock
from runtime.step import Phase, Step, StepKind
from runtime.step.events import Chunk, Finished, Invalid, Judged
from runtime.step.response import model_of
from runtime.vocab import Decision, Usage

DECISIONS = ("accept", "reject", "modify", "auto_accept")


@define(eq=False)
class ModelCount:
    """Requests, errors, latency in milliseconds, and tokens of one model."""

    requests: int = 0
    errors: int = 0
    latency: int = 0
    usage: Usage = field(factory=Usage)


@define(eq=False)
class ToolCount:
    """Calls of one tool."""

    count: int = 0
    success: int = 0
    fail: int = 0
    milliseconds: int = 0
    decisions: dict[str, int] = field(factory=lambda: dict.fromkeys(DECISIONS, 0))


@define(eq=False)
class Statistics:
    """Counts of one run. Feed it every step. `wire_name` turns a configured model into the name that the API knows."""

    clock: Clock
    wire_name: Callable[[str], str]
    models: dict[str, ModelCount] = field(factory=dict)
    tools: dict[str, ToolCount] = field(factory=dict)
    added: int = 0
    removed: int = 0
    _asked: int = 0
    _version: str = ""

    def count(self, step: Step) -> None:
        """Take in one step."""
        match step.kind:
            case StepKind.MODEL_REQUEST:
                self._asked, self._version = self.clock.mono(), ""
            case StepKind.MODEL_CHUNK if isinstance(step.event, Chunk):
                self._version = model_of(step.event.data) or self._version
            case StepKind.MODEL_RESPONSE:
                self._response(step)
            case StepKind.CALL_JUDGE if isinstance(step.event, (Judged, Invalid)):
                self._decided(step, step.event)
            case StepKind.CALL_RESULT if isinstance(step.event, Finished):
                self._finished(step, step.event)

    def _response(self, step: Step) -> None:
        asked = self.wire_name(step.before.settings.model)
        one = self.models.setdefault(self._version or asked, ModelCount())
        one.latency += (self.clock.mono() - self._asked) // 1_000_000
        one.requests += 1
        one.errors += step.event.on.value == "broke"
        one.usage = one.usage.plus(_difference(step.after.usage, step.before.usage))
        outcome = step.after.outcome
        if step.after.phase is Phase.FAILED and outcome is not None and outcome.code.startswith("invalid_stream"):
            self.models.setdefault(asked, ModelCount())

    def _decided(self, step: Step, event: Judged | Invalid) -> None:
        call = step.before.turn.call(event.call) if step.before.turn else None
        if call is None:
            return
        tool = self.tools.setdefault(call.name, ToolCount())
        if isinstance(event, Judged):
            allowed = event.verdict.decision is Decision.ALLOW
            tool.decisions["accept" if allowed else "reject"] += 1
            if allowed:
                return
        tool.count += 1
        tool.fail += 1

    def _finished(self, step: Step, event: Finished) -> None:
        call = step.before.turn.call(event.call) if step.before.turn else None
        tool = self.tools.setdefault(call.name if call else "", ToolCount())
        tool.count += 1
        tool.success += event.result.error is None
        tool.fail += event.result.error is not None
        tool.milliseconds += event.result.milliseconds
        self.added += event.result.added
        self.removed += event.result.removed

    def stream(self, milliseconds: int) -> dict[str, Any]:
        """Return the `stats` of a stream-json `result`."""
        models = {name: _short(one.usage) for name, one in self.models.items()}
        total = {key: sum(one[key] for one in models.values()) for key in _short(Usage())}
        calls = sum(tool.count for tool in self.tools.values())
        return {**total, "duration_ms": milliseconds, "tool_calls": calls, "models": models}

    def whole(self) -> dict[str, Any]:
        """Return the `stats` of the json format."""
        tools = self.tools.values()
        return {
            "models": {name: _model(one) for name, one in self.models.items()},
            "tools": {
                "totalCalls": sum(tool.count for tool in tools),
                "totalSuccess": sum(tool.success for tool in tools),
                "totalFail": sum(tool.fail for tool in tools),
                "totalDurationMs": sum(tool.milliseconds for tool in tools),
                "totalDecisions": {name: sum(tool.decisions[name] for tool in tools) for name in DECISIONS},
                "byName": {name: _tool(tool) for name, tool in self.tools.items()},
            },
            "files": {"totalLinesAdded": self.added, "totalLinesRemoved": self.removed},
        }


def _difference(after: Usage, before: Usage) -> Usage:
    return Usage(
        after.prompt - before.prompt,
        after.candidates - before.candidates,
        after.total - before.total,
        after.cached - before.cached,
        after.thoughts - before.thoughts,
        after.tool - before.tool,
    )


def _short(use: Usage) -> dict[str, int]:
    return {
        "total_tokens": use.total,
        "input_tokens": use.prompt,
        "output_tokens": use.candidates,
        "cached": use.cached,
        "input": max(0, use.prompt - use.cached),
    }


def _model(one: ModelCount) -> dict[str, Any]:
    use = one.usage
    tokens = {
        "input": max(0, use.prompt - use.cached),
        "prompt": use.prompt,
        "candidates": use.candidates,
        "total": use.total,
        "cached": use.cached,
        "thoughts": use.thoughts,
        "tool": use.tool,
    }
    head: Mapping[str, int] = {
        "totalRequests": one.requests,
        "totalErrors": one.errors,
        "totalLatencyMs": one.latency,
    }
    return {
        "api": {**head, "errorsByType": {}},
        "tokens": tokens,
        "roles": {"main": {**head, "tokens": dict(tokens)}},
    }


def _tool(tool: ToolCount) -> dict[str, Any]:
    return {
        "count": tool.count,
        "success": tool.success,
        "fail": tool.fail,
        "durationMs": tool.milliseconds,
        "decisions": tool.decisions,
    }
