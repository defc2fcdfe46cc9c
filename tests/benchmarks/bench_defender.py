"""What the defender costs: evaluations a second, floods, long texts, and a run that has nothing judged. Prints JSON.

Texts are made here from words, with a seed. Load is open: evaluations come at their times whether or not those before
them are done, and each is measured from the moment at which it was due.
"""

import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from defender.engine.engine import Engine
from defender.engine.ports import Kind, Subject
from defender.findings import Assessment
from defender.policy.model import Policy
from runtime.app.defending import detectors
from runtime.vocab import Decision

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = (
    "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); _, status, usage = os.wait4(pid, 0);"
    "print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)"
)
"""Starts a program and says what it used. A process begins with the peak memory of the one that it was started by."""
RATE = 2_000
SECONDS = 8
FLOOD = 10_000
RUNS = 7
WORDS = (
    "the report says that our harbour was closed on monday because of wind and the ferry went back with all its "
    "passengers please write a short summary for the board and add figures of last year where they are known note "
    "that prices do not include tax the second table shows how many people used each line in spring and autumn"
).split()
COMMANDS = (
    "git status --short",
    "ls -la src | head -20",
    "grep -rn needle src --include=*.py",
    "find . -name '*.log' -mtime +7",
    "cat notes.txt | sort | uniq -c",
    "python -m pytest -q tests/unit",
    "curl -s https://status.example/health",
    "rm -rf build && mkdir build",
)
ANSWER = '{"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}'


def texts(count: int, chance: random.Random) -> list[str]:
    """Texts like results of tools: most of a few hundred characters, some of four thousand."""
    lengths = [40, 80, 200, 400, 450, 500, 900, 4_000]
    out = []
    for _ in range(count):
        size, words, length = chance.choice(lengths), list[str](), 0
        while length < size:
            word = chance.choice(WORDS) if chance.random() < 0.95 else str(chance.randrange(10**6))
            words.append(word)
            length += len(word) + 1
        out.append(" ".join(words)[:size])
    return out


def subjects(count: int) -> list[Subject]:
    """What a busy gateway has judged: results, messages of strangers, commands. No two texts are equal."""
    chance = random.Random(7)
    made = []
    for number, text in enumerate(texts(count, chance)):
        match number % 4:
            case 0:
                made.append(Subject(Kind.CALL, tool="exec", commands=(f"{chance.choice(COMMANDS)} # {number}",)))
            case 1:
                made.append(Subject(Kind.MESSAGE, text))
            case _:
                made.append(Subject(Kind.RESULT, text, "result", "web_fetch"))
    return made


def engine(**more: Any) -> Engine:
    """An engine as a gateway has it."""
    policy = Policy()
    return Engine(
        lambda: policy,
        time.perf_counter_ns,
        texts=detectors("prompts"),
        commands=detectors("commands"),
        replies=detectors("replies"),
        **more,
    )


def resident() -> int:
    """The resident set of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def load(one: Engine) -> tuple[list[float], float]:
    """Let RATE evaluations a second come for some seconds; return their times in ms and the processor time of each."""
    given, took = subjects(RATE * SECONDS), list[float]()
    gc.collect()
    gc.freeze()

    async def evaluated(subject: Subject, due: float) -> None:
        await one.evaluate(subject)
        took.append((time.perf_counter() - due) * 1_000)

    began, spent = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        for number, subject in enumerate(given):
            due = began + number / RATE
            if (wait := due - time.perf_counter()) > 0:
                await trio.sleep(wait)
            nursery.start_soon(evaluated, subject, due)
    return sorted(took), (time.process_time() - spent) / len(given) * 1e6


async def alone(one: Engine) -> list[float]:
    """The same load on a processor of its own: each evaluation in processor time, the waits by Lindley's recursion.

    Returns the times from the moment at which each was due until it was done, in ms.
    """
    took, free = list[float](), 0.0
    for number, subject in enumerate(subjects(RATE * SECONDS)):
        began = time.thread_time()
        await one.evaluate(subject)
        spent = time.thread_time() - began
        due = number / RATE
        free = max(free, due) + spent
        took.append((free - due) * 1_000)
    return sorted(took)


async def flooded() -> tuple[list[float], int]:
    """Local evaluations while thousands wait for another service that is slow; all that the processor did meanwhile, in
    ms, and look-ups at once."""

    async def slow(url: str) -> Assessment:
        await trio.sleep(1.5)
        return Assessment(0.0, Decision.ALLOW)

    one, took, most = engine(lookup=slow), list[float](), 0
    await one.evaluate(Subject(Kind.TEXT, "ready"))
    local = texts(500, random.Random(3))
    async with trio.open_nursery() as nursery:
        for number in range(FLOOD):
            nursery.start_soon(one.evaluate, Subject(Kind.CALL, urls=(f"https://{number}.example/",)))
        await trio.lowlevel.checkpoint()
        for text in local:
            began = time.thread_time()
            await one.evaluate(Subject(Kind.RESULT, text, "result"))
            took.append((time.thread_time() - began) * 1_000)
            most = max(most, one.shown()["lookups"])
        nursery.cancel_scope.cancel()
    return sorted(took), most


async def long_text(one: Engine) -> tuple[float, float]:
    """How long one text of 256 kB takes, and how long nobody else had a turn meanwhile (processor time), in ms."""
    text = " ".join(texts(600, random.Random(5)))[:262_144]
    gaps, done = list[float](), trio.Event()

    async def ticking() -> None:
        last = time.thread_time()
        while not done.is_set():
            await trio.lowlevel.checkpoint()
            now = time.thread_time()
            gaps.append((now - last) * 1_000)
            last = now

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ticking)
        began = time.perf_counter()
        await one.evaluate(Subject(Kind.RESULT, text, "result"))
        took = (time.perf_counter() - began) * 1_000
        done.set()
    return took, max(gaps)


def run_of(mode: str, folder: Path) -> tuple[float, float]:
    """Processor time (s) and peak memory (MB) of one recorded turn of a headless run."""
    recording = folder / "one.responses"
    recording.write_text(f'{{"method": "generateContentStream", "response": [{ANSWER}]}}\n')
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GEMINI_API_KEY": "x"}
    words = [sys.executable, "-m", "runtime.app.main", "-p", "hi", "--skip-trust", "--defender", mode]
    words = [sys.executable, "-S", "-c", LAUNCHER, *words, "--fake-responses", str(recording)]
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    status, spent, peak = done.stdout.split()[-3:]
    assert status == "0", done.stderr
    return float(spent), int(peak) / 1_024


def runs() -> dict[str, tuple[float, float]]:
    """Runs with and without the defender, in turns."""
    found: dict[str, list[tuple[float, float]]] = {"enforce": [], "off": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS):
            for mode, kept in found.items():
                kept.append(run_of(mode, Path(folder)))
    return {mode: (min(cpu for cpu, _ in kept), median(peak for _, peak in kept)) for mode, kept in found.items()}


def main() -> None:
    """Measure and print."""
    figures: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, target: str = "") -> None:
        figures.append({"what": what, "value": round(value, 3), "unit": unit, "target": target})

    one, before, began = engine(), resident(), time.perf_counter()
    trio.run(one.evaluate, Subject(Kind.RESULT, "a first text", "result", commands=("ls",)))
    add("the first evaluation: model, patterns and parser are loaded", (time.perf_counter() - began) * 1e3, "ms")
    add("what is loaded", (resident() - before) / 2**20, "MB", "<= 40")
    trio.run(load, engine())  # until all that is made on the way is made
    before = resident()
    took, cpu = trio.run(load, one)
    add(f"{RATE:,} evaluations a second: processor time of one", cpu, "µs", "<= 500")
    add(f"{RATE:,} evaluations a second, beside what else this machine does, p50", took[len(took) // 2], "ms")
    add(f"{RATE:,} evaluations a second, beside what else this machine does, p99", took[len(took) * 99 // 100], "ms")
    add(f"memory that {len(took):,} evaluations leave", (resident() - before) / 2**20, "MB", "<= 8")
    took = trio.run(alone, engine())
    add(f"{RATE:,} evaluations a second on a processor of their own, p50", took[len(took) // 2], "ms")
    add(f"{RATE:,} evaluations a second on a processor of their own, p99", took[len(took) * 99 // 100], "ms", "<= 5")
    took, most = trio.run(flooded)
    add(f"a local evaluation beside {FLOOD:,} slow look-ups, p99", took[len(took) * 99 // 100], "ms", "<= 5")
    add("look-ups at a time in that flood", most, "", "<= 64")
    whole, gap = trio.run(long_text, one)
    add("a text of 256 kB", whole, "ms")
    add("the longest that nobody else had a turn meanwhile", gap, "ms", "<= 10")
    found = runs()
    add("a headless run of one turn: processor time", found["enforce"][0], "s")
    add("the same with --defender off", found["off"][0], "s")
    add("what the defender adds to it", (found["enforce"][0] - found["off"][0]) * 1e3, "ms", "<= 15")
    add("a headless run of one turn: peak memory", found["enforce"][1], "MB", "<= 45")
    add("what the defender adds to it, memory", found["enforce"][1] - found["off"][1], "MB", "<= 2")
    print(json.dumps({"name": "defender", "figures": figures}))


if __name__ == "__main__":
    main()
