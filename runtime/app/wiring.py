"""Puts the runtime together: store, model, judge, tools, context, dispatcher. Nothing else composes."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import trio
from attrs import frozen

from runtime.app.clock import SystemChance, SystemClock
from runtime.ports import Judge, Labeller, Model
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Contexts, Performer, Surroundings
from runtime.sessions.session import Session
from runtime.step import events as ev
from runtime.stores import open_store
from runtime.stores.choose import Journal as Store
from runtime.stores.writer import Writer
from runtime.tools.registry import Registry, unknown

T = TypeVar("T")

CLOSE_SECONDS: Final = 5.0
"""How long the model's connections may take to close."""
HURRY_SECONDS: Final = 1.0
"""How long a full disk is waited for on the way out of a run that was told to end."""

Reply = Callable[[Session, str], Awaitable[None]]


@frozen
class Parts:
    """What a runtime is made of. It cannot be made without a judge. `aclose` is awaited at the end."""

    judge: Judge
    model: Model
    contexts: Contexts
    around: Surroundings
    reply: Reply
    tools: Registry
    labeller: Callable[[Store], Labeller] | None = None
    aclose: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint


async def run_with(
    parts: Parts,
    journal: Path,
    work: Callable[[Dispatcher, Store], Awaitable[T]],
    hurried: Callable[[], bool] = lambda: False,
) -> T:
    """Run a dispatcher over the journal at `journal` while `work` works with both, and return what that returns.

    On the way out every task is stopped, every record written, every connection closed, whatever happened. `hurried`
    says whether a full disk is waited for only HURRY_SECONDS then. Raises JournalError for what was not written.
    """
    clock = SystemClock()
    performer = Performer(
        parts.judge,
        parts.model,
        parts.tools,
        parts.contexts,
        lambda settings: parts.around,
        clock,
        SystemChance(),
        parts.reply,
        unknown,
    )
    try:
        async with open_store(journal) as store:
            performer.labeller = parts.labeller(store) if parts.labeller is not None else None
            dispatcher = Dispatcher(Journal(store, clock, store.codec, store.name), performer)
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(dispatcher.run)
                    result = await work(dispatcher, store)
                    nursery.cancel_scope.cancel()
            finally:
                if hurried() and store.trouble and isinstance(store, Writer):
                    store.patience = min(store.patience, HURRY_SECONDS)
        return result
    finally:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await parts.model.aclose()
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await parts.aclose()


@frozen
class WorkspaceContexts:
    """Builds the context of a session from its workspace: `system(names)` and `opening()` read the world."""

    tools: Registry
    judge: Judge
    system: Callable[[tuple[str, ...]], str]
    opening: Callable[[], str]

    async def build(self, settings: ev.Settings) -> ev.ContextBuilt:
        """Return the context. Reading the workspace is bounded by whoever wrote `opening`."""
        await trio.lowlevel.checkpoint()
        toolset = self.tools.toolset(self.judge.offers)
        text = self.opening()
        return ev.ContextBuilt(self.system(toolset.names), toolset, ({"text": text},) if text else ())
