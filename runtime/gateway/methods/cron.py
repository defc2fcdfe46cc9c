"""cron.*: jobs that run by the clock. Params are checked by `runtime.cron.params`, answers made by its `answers`."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from runtime.cron import answers
from runtime.cron.params import read_add, read_id, read_list, read_nothing, read_run, read_runs, read_update
from runtime.cron.refusal import CronRefused
from runtime.cron.scheduler import Scheduler
from runtime.gateway.frames import GatewayError
from runtime.gateway.registry import Call, Method, Raw

Do = Callable[[Call, Scheduler], Awaitable[Any]]


def told(do: Do) -> Callable[[Call], Awaitable[Any]]:
    """Let a handler refuse in the words of cron."""

    @wraps(do)
    async def handler(call: Call) -> Any:
        try:
            return await do(call, call.desk.part("cron"))
        except CronRefused as exc:
            raise GatewayError("INVALID_REQUEST", str(exc), details=exc.details) from exc

    return handler


@told
async def status(call: Call, cron: Scheduler) -> Any:
    """Return how the scheduler is."""
    read_nothing(call.params)
    return answers.status(cron.status(), place=call.desk.dispatcher.journal.name)


@told
async def listed(call: Call, cron: Scheduler) -> Any:
    """Return a page of jobs."""
    return answers.jobs(cron.list(read_list(call.params)), answers.preview, cron.settings.agent)


@told
async def get(call: Call, cron: Scheduler) -> Any:
    """Return one job."""
    return answers.job(cron.get(read_id("cron.get", call.params)))


@told
async def add(call: Call, cron: Scheduler) -> Any:
    """Add a job."""
    return answers.added(await cron.add(read_add(call.params)), answers.preview)


@told
async def update(call: Call, cron: Scheduler) -> Any:
    """Change a job."""
    return answers.job(await cron.update(*read_update(call.params)))


@told
async def remove(call: Call, cron: Scheduler) -> Any:
    """Remove a job; a run under way goes on to its end."""
    return answers.removed(running=await cron.remove(read_id("cron.remove", call.params)))


@told
async def run(call: Call, cron: Scheduler) -> Any:
    """Run a job now."""
    name, mode, process = read_run(call.params)
    answers.check_process(process, call.desk.boot)
    return answers.ran(await cron.run_now(name, mode), call.desk.boot)  # type: ignore[arg-type]


@told
async def runs(call: Call, cron: Scheduler) -> Any:
    """Return a page of finished runs."""
    return answers.runs(cron.runs(read_runs(call.params)))


METHODS: Final = [
    Method("cron.status", status, Raw),
    Method("cron.list", listed, Raw),
    Method("cron.get", get, Raw),
    Method("cron.add", add, Raw),
    Method("cron.update", update, Raw),
    Method("cron.remove", remove, Raw),
    Method("cron.run", run, Raw),
    Method("cron.runs", runs, Raw),
]
