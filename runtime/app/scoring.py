"""`twinstep defender score` and `explain`: rows or one text through the same engine that judges sessions.

A row is `{"id","text","kind"}`; of `kind` only whether it is a command counts. An answer is `{"id","score","decision",
"rule","us"}`, `us` being the microseconds of the evaluation. A line that is no row is answered with `error`, and the
next one is read.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import trio

from runtime.app.defending import detectors
from runtime.errors import InputError

if TYPE_CHECKING:
    from defender.engine.engine import Engine
    from defender.findings import Assessment
    from defender.policy.model import Policy

COMMAND_KINDS: Final = ("command", "command_windows")
LONGEST: Final = 8 << 20
"""Bytes of a line."""
CODES: Final = {"allow": 0, "review": 2, "block": 1}


def engine_of(policy: "Policy") -> "Engine":
    """Return an engine that judges by a policy, with the detectors of texts and commands."""
    from defender.engine.engine import Engine

    return Engine(lambda: policy, time.perf_counter_ns, texts=detectors("prompts"), commands=detectors("commands"))


def policy_of(path: str | None) -> "Policy":
    """Return the policy of a file, or the built-in one. Raises PolicyError."""
    from defender.policy.book import PolicyBook

    return PolicyBook(Path(path) if path else None, wanted=True).reload()


def score(policy: str | None, rows: Iterable[bytes], out: TextIO) -> int:
    """Answer each row with one line; return the exit code."""
    engine = engine_of(policy_of(policy))
    engine.cache.most = 0  # every row is measured
    trio.run(_answered, engine, rows, out)
    return 0


async def _answered(engine: "Engine", rows: Iterable[bytes], out: TextIO) -> None:
    for command in (False, True):  # what is loaded once is no part of any row
        await evaluated(engine, "ok", command=command)
    for line in rows:
        if line.strip():
            out.write(json.dumps(await answered(engine, line), ensure_ascii=False) + "\n")
            out.flush()


async def answered(engine: "Engine", line: bytes) -> dict[str, Any]:
    """Return the answer to one line."""
    row, wrong = read(line)
    if wrong:
        return {"id": row.get("id"), "error": wrong}
    began = time.perf_counter_ns()
    said = await evaluated(engine, row["text"], command=row.get("kind") in COMMAND_KINDS)
    took = (time.perf_counter_ns() - began) // 1_000
    rule = said.signals[0].rule if said.signals else ""
    return {
        "id": row.get("id"),
        "score": round(said.score, 6),
        "decision": said.decision.value,
        "rule": rule,
        "us": took,
    }


def read(line: bytes) -> tuple[dict[str, Any], str]:
    """Return the row of a line and what is wrong with it, in one sentence, or nothing."""
    row, wrong = _row(line)
    if not wrong and not isinstance(row.get("text"), str):
        wrong = "text must be a string"
    if not wrong and not isinstance(row.get("kind", ""), str):
        wrong = "kind must be a string"
    return row, wrong


def _row(line: bytes) -> tuple[dict[str, Any], str]:
    if len(line) > LONGEST:
        return {}, f"a line has at most {LONGEST >> 20} MiB"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        return {}, f"the line is not JSON: {str(exc)[:100]}"
    return (row, "") if isinstance(row, dict) else ({}, "a row must be an object")


def decide(rows: Iterable[bytes], out: TextIO) -> int:
    """Answer each tool call with one line: may it run, by where its values came from? Return the exit code."""
    from defender.taint.serving import answer

    for line in rows:
        if not line.strip():
            continue
        row, wrong = _row(line)
        told: Any = {"id": row.get("id"), "error": wrong}
        if not wrong:
            try:
                told = answer(row)
            except InputError as exc:
                told["error"] = str(exc)
        out.write(json.dumps(told, ensure_ascii=False) + "\n")
        out.flush()
    return 0


async def evaluated(engine: "Engine", text: str, *, command: bool) -> "Assessment":
    """Return what the engine says of a text or a command of nobody that is trusted."""
    from defender.engine.ports import Kind, Subject

    if command:
        return await engine.evaluate(Subject(Kind.COMMAND, commands=(text,)))
    return await engine.evaluate(Subject(Kind.TEXT, text))


def explain(command: str, text: str | None, out: TextIO, *, as_json: bool, policy: str | None = None) -> int:
    """Print what the defender sees in a command or a text; return the exit code. Raises PolicyError."""
    held = policy_of(policy)
    said = trio.run(_explained, held, command, text)
    if as_json:
        signals = [
            {"rule": one.rule, "risk": round(one.risk, 4), "reason": one.reason, "evidence": one.evidence}
            for one in said.signals
        ]
        told = {"decision": said.decision.value, "score": round(said.score, 4), "signals": signals}
        told |= _analysis(command) if text is None else {}
        print(json.dumps(told, ensure_ascii=False), file=out)
        return CODES[said.decision.value]
    if text is None:
        _tree(command, said.decision.value, held.name, out)
        return CODES[said.decision.value]
    print(f"{said.decision.value}  score {said.score:.3f}", file=out)
    for one in said.signals:
        print(f"  {one.rule} ({one.risk:.2f}): {one.reason}", file=out)
        if one.evidence:
            print(f"      {one.evidence}", file=out)
    return CODES[said.decision.value]


async def _explained(policy: "Policy", command: str, text: str | None) -> "Assessment":
    engine = engine_of(policy)
    return await evaluated(engine, command if text is None else text, command=text is None)


def _tree(command: str, decision: str, policy: str, out: TextIO) -> None:
    from defender.commands import analyse
    from defender.commands import explain as explained

    print(explained(command), file=out)
    if analyse(command).assessment.decision.value != decision:
        print(f"by the policy {policy}: {decision}", file=out)


def _analysis(command: str) -> dict[str, Any]:
    """What of a command is known beside the decision, as JSON."""
    from defender.commands import analyse

    found = analyse(command)
    steps = [{"words": list(one.words), "decision": one.decision, "rules": list(one.rules)} for one in found.steps]
    return {"effect": found.effect, "hosts": list(found.hosts), "writes": list(found.writes), "commands": steps}
