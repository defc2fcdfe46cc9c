"""Jobs of the clock as runs of sessions: what a job says is sent like any message; how its run ended is the outcome.

The time that a job gives its run counts like that of any message: it stands still while the session is held.
"""

from collections.abc import Mapping
from typing import Any

import trio
from attrs import define, evolve

from runtime.cron.jobs import Job, Outcome
from runtime.cron.outcomes import late
from runtime.gateway import keys
from runtime.gateway.asks import Ask
from runtime.gateway.desk import Desk
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.methods.sessions_create import checked_model
from runtime.gateway.queueing import NEXT
from runtime.gateway.runs import TIMEOUT
from runtime.gateway.transcript import uuid_of
from runtime.gateway.waiting import FOREVER
from runtime.model.thinking import LEVELS, level_named
from runtime.vocab import JsonObject

EVERY = "*"


@define(eq=False)
class CronWork:
    """Starts what jobs say, for `runtime.cron.scheduler`."""

    desk: Desk

    async def start(self, job: Job, run: str, seconds: float = 0) -> Outcome:
        """Run a job within so many seconds, 0 for any time; return how it ended.

        One that a session cannot be limited to is not run at all.
        """
        try:
            model, thinking = self._model(job), level_of(job)
        except GatewayError as exc:
            return Outcome(status="error", error=exc.message)
        desk = self.desk
        text = str(job.payload.get("message") or job.payload.get("text") or "")
        parts: tuple[JsonObject, ...] = ({"text": text},)
        name = uuid_of(job.id, run)  # the same after a restart, so that a run is accepted once
        entry, made = desk.directory.ensure(self._key(job, name), via="cron", label=f"Automation: {job.name}")
        if made:
            desk.changed(entry, "create")
        ask = Ask(entry, name, text, parts, "agent", NEXT, "cron", seconds, model=model, thinking=thinking)
        ack = await desk.runs.send(ask)
        try:
            ended = await desk.runs.wait(ack.run, FOREVER)
        except trio.Cancelled:
            if not desk.draining:  # else it goes on after the next start
                desk.runs.abort(entry, ack.run)
            raise
        provider, model, _ = desk.extras["models"].of(entry.as_for(model, None))
        about: dict[str, Any] = {"session": entry.id, "session_key": entry.key, "model": model}
        if ended is None:
            return Outcome(status="error", error="the run did not end", provider=provider, **about)
        used = {"input": ended.tokens[0], "output": ended.tokens[1], "totalTokens": ended.tokens[2]}
        if ended.stop == TIMEOUT:
            return evolve(late(seconds, desk.clock.wall()), provider=provider, usage=used, **about)
        if ended.status != "ok":
            return Outcome(status="error", error=ended.error or ended.status, provider=provider, usage=used, **about)
        return Outcome(summary=ended.answer or None, provider=provider, usage=used, **about)

    def _model(self, job: Job) -> str | None:
        """Return the model that a job wants, or None. Raises GatewayError for what a run here cannot keep to."""
        tools, model = job.payload.get("toolsAllow"), job.payload.get("model")
        if tools is not None and EVERY not in tools:
            raise invalid("the job allows only some tools (toolsAllow), and no session can be limited to these here")
        return checked_model(self.desk, str(model)) if model else None

    def _key(self, job: Job, name: str) -> str:
        directory = self.desk.directory
        agent = job.agent or directory.default_agent
        if job.target == "main":
            return keys.main(agent)
        if job.target.startswith("session:"):
            return directory.key(job.target.removeprefix("session:"), agent)
        if job.target == "current" and job.session_key:
            return directory.key(job.session_key, agent)
        return keys.cron(agent, job.id, name)

    async def accepted(self, job: Job, run: str) -> bool:
        """Whether a session took up anything of a run before a restart."""
        await trio.lowlevel.checkpoint()
        return uuid_of(job.id, run) in self.desk.runs.shelf.items

    def stands(self, job: Job, run: str) -> bool:
        """Whether somebody holds the session of a run."""
        runs = self.desk.runs
        found = runs.shelf.items.get(runs.follow(uuid_of(job.id, run)))
        session = runs.roster.live.get(found.session) if found is not None else None
        return session is not None and session.state.hold is not None

    def announce(self, event: Mapping[str, Any]) -> None:
        """Tell clients what happens to jobs."""
        self.desk.hub.tell("cron", dict(event))

    def has_agent(self, name: str) -> bool:
        """Whether there is an agent of that id."""
        return name in self.desk.extras["models"].agents


def level_of(job: Job) -> str | None:
    """Return the thinking level that a job wants for its runs, or None. Raises GatewayError for a word that is none.

    Where the model does not have it, the request takes the next one that it has (`runtime.model.thinking`).
    """
    word = job.payload.get("thinking")
    level = level_named(str(word)) if word else None
    if word and level is None:
        raise invalid(f'thinking "{word}" is no level of thinking (use {"|".join(LEVELS)})')
    return level
