"""What a run is made of, from its flags and settings: model, judge, tools, context, message, places."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import trio
from attrs import evolve

from runtime import config as settings
from runtime import context
from runtime.app.clock import SystemClock
from runtime.app.defending import defending
from runtime.app.wiring import Parts, WorkspaceContexts
from runtime.errors import InputError
from runtime.policy.modes import ApprovalJudge
from runtime.ports import Chance, Judge, Model
from runtime.provenance import PERSON, Provenance
from runtime.sessions.performer import Surroundings
from runtime.sessions.session import Session
from runtime.tools.ignore import Ignore
from runtime.tools.registry import Registry
from runtime.vocab import ApprovalMode, JsonObject, Message

if TYPE_CHECKING:
    from runtime.model.endpoint import Endpoint

Influence = Callable[[str], Provenance | None]
PLACE: Final = "security.defender"
"""Where the settings of the defender stand."""
MENTIONED: Final = 20 << 20
"""Bytes of one file that a prompt mentions."""


def configuration(given: Any, mode: ApprovalMode | None) -> settings.Config:
    """Return what this process is set to: its environment, its folder, its flags. Raises SettingsError, InputError."""
    try:
        cwd = os.getcwd()
    except OSError as exc:
        raise InputError(f"the current folder cannot be used: {exc.strerror}.") from exc
    return settings.load(
        os.environ, cwd, model=given.model, mode=mode, output=given.output_format, skip_trust=given.skip_trust
    )


def model(config: settings.Config, given: Any) -> Model:
    """Return the provider of answers: a recording, the API, or the API with its answers written down.

    Raises AuthError, InputError.
    """
    if given.fake_responses or given.fake_responses_non_strict:
        from runtime.model.recorded import RecordedModel

        path = given.fake_responses or given.fake_responses_non_strict
        return RecordedModel(Path(path), strict=given.fake_responses is not None)
    from runtime.model.client import GeminiClient
    from runtime.model.endpoint import endpoint

    client = GeminiClient(_without_empty_port(endpoint(config.environ, settings.auth(config).kind)))
    if given.record_responses:
        from runtime.model.recorded import RecordingModel

        return RecordingModel(client, Path(given.record_responses))
    return client


def _without_empty_port(given: "Endpoint") -> "Endpoint":
    """An empty port is the usual one (RFC 3986 section 3.2.3); as part of a name it would be shown."""
    parts = given.split
    return evolve(given, base=parts._replace(netloc=parts.netloc.removesuffix(":")).geturl())


def parts(config: settings.Config, answers: Model, given: Any, influence: Influence = lambda session: None) -> Parts:
    """Return what the runtime of this run is made of: its judge is the approval mode, and the defender as the settings
    want it. Raises SettingsError, UsageError.

    `influence` returns the join of all that the model of a session has before it.
    """
    inner = ApprovalJudge(mode=config.mode, core=config.core_tools, exclude=config.excluded_tools)
    guard = defending(
        given.defender, of_settings(config), config.state, PLACE, config.environ, config.home, complain=_complain
    )
    guard.check()
    tools, judging = Registry(), guard.judged(inner, "cli", influence)
    around = surroundings(config)
    context_of = contexts(config, tools, judging, around)
    labeller = guard.labeller((config.workspace, around.scratch, config.gemini) if config.trust.trusted else ())
    return Parts(judging, answers, context_of, around, _flushed, tools, labeller, guard.aclose)


def of_settings(config: settings.Config) -> dict[str, Any]:
    """Return what the settings say of the defender."""
    found: dict[str, Any] = config.setting("security", {}).get("defender", {})
    return found


def _complain(text: str) -> None:
    print(f"twinstep: {text}", file=sys.stderr)


def surroundings(config: settings.Config) -> Surroundings:
    """Return what tools may see of the machine. The scratch folder is made where it is missing."""
    scratch = context.scratch(config.gemini, config.workspace)
    return Surroundings(config.workspace, scratch, config.home, config.environ, config.setting("tools", {}))


async def _flushed(session: Session, text: str) -> None:
    # The answer was shown as it came; what is left of it goes out before the step counts as sent.
    await trio.lowlevel.checkpoint()
    sys.stdout.flush()


def contexts(config: settings.Config, tools: Registry, judging: Judge, around: Surroundings) -> WorkspaceContexts:
    """Return the builder of contexts: system text from our words and the person's memory, opening from the workspace.

    Raises UsageError where GEMINI_SYSTEM_MD names a file that is not there.
    """
    replaced = context.replacement(config.environ.get("GEMINI_SYSTEM_MD", ""), config.workspace, config.home)
    memory = context.load_memory(
        config.gemini,
        config.workspace,
        names=config.context_names,
        markers=config.boundary_markers,
        trusted=config.trust.trusted,
    )

    for warning in memory.warnings:
        print(f"twinstep: {warning}", file=sys.stderr)

    def system(names: tuple[str, ...]) -> str:
        return context.system_text(mode=config.mode, tools=names, memory=memory.person, replacement=replaced)

    def opening() -> str:
        return context.session_context(
            workspace=str(config.workspace),
            scratch=str(around.scratch),
            today=context.local_date(SystemClock().wall()),
            system=sys.platform,
            memory=memory.project,
            ignored=Ignore(str(config.workspace)).ignored,
        )

    return WorkspaceContexts(tools, judging, system, opening)


async def message(config: settings.Config, given: Any, chance: Chance) -> Message | None:
    """Return the message of this run: standard input, the prompt, and the files that it mentions; None without any.

    Raises InputError where standard input breaks off.
    """
    said = given.prompt if given.prompt is not None else " ".join(given.query)
    came = await _piped(sys.stderr)
    if not came and not said:
        return None
    text = context.joined(came, said)
    parts = _with_files(config, text) if "@" in text else ({"text": text},)
    return Message(chance.uuid(), text, parts, labels=PERSON)


async def _piped(err: TextIO) -> str:
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    try:
        descriptor = os.dup(sys.stdin.fileno())
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        came = context.piped(_from_file(descriptor))
    else:
        async with trio.lowlevel.FdStream(descriptor) as stream:
            came = await context.read_piped(stream)
    if came.cut:
        print(f"standard input was cut at {context.LARGEST >> 20} MiB.", file=err)
    return came.text


def _from_file(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read(context.LARGEST + 1)


def _with_files(config: settings.Config, text: str) -> tuple[JsonObject, ...]:
    from runtime.context.lookup import Access
    from runtime.context.mention import with_files
    from runtime.tools.files import read
    from runtime.tools.filetypes import kind
    from runtime.tools.workspace import refusal

    around = surroundings(config)

    access = Access(
        workspace=str(config.workspace),
        read=lambda path: read(path, around, MENTIONED),
        kind=kind,
        refuses=lambda path: refusal(path, around) is not None,
        ignored=Ignore(str(config.workspace)).ignored,
        memory_name=config.context_names[0],
        now=SystemClock().wall() / 1000,
    )
    return with_files(text, access).parts


def sessions_folder(config: settings.Config) -> Path:
    """Return where the journals of this workspace's sessions are."""
    scratch = context.scratch(config.gemini, config.workspace)
    return config.state / "sessions" / scratch.name
