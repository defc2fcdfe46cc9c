"""Which jobs and runs a question is about, in what order, and which part of them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from runtime.cron.edits import agent_of
from runtime.cron.jobs import Job, Run
from runtime.cron.params import MOST_PAGE, ListQuery, RunsQuery

EMPTY_PAGE: Final = 50
"""The size of a page that nothing is on."""


@frozen
class JobPage:
    """Part of a list of jobs; `revision` changes whenever any job does. `query` is what was asked."""

    jobs: tuple[Job, ...]
    total: int
    offset: int
    limit: int
    revision: str
    query: ListQuery


@frozen
class RunPage:
    """Part of the history; `names` are the names of the jobs that still have one."""

    runs: tuple[Run, ...]
    total: int
    offset: int
    limit: int
    names: Mapping[str, str]


def page_of_jobs(jobs: Iterable[Job], query: ListQuery, agent: str, revision: str) -> JobPage:
    """Return the part of the jobs that is asked for. `agent` is whose jobs are that name none."""
    found = _ordered([job for job in jobs if _wanted(job, query, agent)], query)
    offset = min(query.offset, len(found))
    limit = max(1, min(MOST_PAGE, query.limit or len(found) or EMPTY_PAGE))
    return JobPage(tuple(found[offset : offset + limit]), len(found), offset, limit, revision, query)


def page_of_runs(runs: Iterable[Run], query: RunsQuery, names: Mapping[str, str]) -> RunPage:
    """Return the part of the runs that is asked for; those that ended last come first unless asked otherwise."""
    found = [run for run in runs if _tells(run, query, names)]
    found.sort(key=lambda run: run.ended, reverse=not query.ascending)
    offset = min(query.offset, len(found))
    return RunPage(tuple(found[offset : offset + query.limit]), len(found), offset, query.limit, names)


def _wanted(job: Job, query: ListQuery, agent: str) -> bool:
    if query.conditional or query.enabled not in ("all", "enabled" if job.enabled else "disabled"):
        return False
    if query.kind not in ("all", job.schedule.kind):
        return False
    if query.last_status not in ("all", job.state.last_status or "unknown"):
        return False
    if query.agent is not None and query.agent.lower() != agent_of(job, agent).lower():
        return False
    if query.session_key is not None and query.session_key not in (job.session_key, job.target.partition(":")[2]):
        return False
    said = (job.id, job.name, job.description, job.agent, job.display)
    return query.query in " ".join(word for word in said if word).lower()


def _ordered(jobs: list[Job], query: ListQuery) -> list[Job]:
    jobs.sort(key=lambda job: job.id)
    if query.by == "name":
        jobs.sort(key=lambda job: job.name.casefold(), reverse=query.descending)
    elif query.by == "updatedAtMs":
        jobs.sort(key=lambda job: job.updated, reverse=query.descending)
    else:  # what has no slot comes last either way
        jobs.sort(key=lambda job: job.state.next_run or 0, reverse=query.descending)
        jobs.sort(key=lambda job: job.state.next_run is None)
    return jobs


def _tells(run: Run, query: RunsQuery, names: Mapping[str, str]) -> bool:
    outcome = run.outcome
    if query.agent is not None and query.agent.lower() != run.agent.lower():
        return False
    if query.run_id is not None and not (run.asked and run.mark == query.run_id):
        return False
    if query.statuses and outcome.status not in query.statuses:
        return False
    if query.delivery_statuses and run.delivery_status not in query.delivery_statuses:
        return False
    said = (outcome.summary, outcome.error, outcome.reason, run.job, names.get(run.job))
    return query.query in " ".join(word for word in said if word).lower()
