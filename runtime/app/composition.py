"""What a run is made of, from its flags and settings: model, judge, tools, context, message, places."""

import os
import sys
from pathlib import Path
from typing import Any, TextIO

import trio

from runtime import config as settings
from runtime.app.wiring import Parts, WorkspaceContexts
from runtime.errors import InputError
from runtime.policy.modes import ApprovalJudge
from runtime.ports import Chance, Judge, Model
from runtime.sessions.performer import Surroundings
from runtime.sessions.session import Session
from runtime.tools.registry import Registry
from runtime.vocab import ApprovalMode, Message


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
    """Return the provider of answers: a recording, the API, or the API with its answers written down."""
    if given.fake_responses or given.fake_responses_non_strict:
        from runtime.model.recorded import RecordedModel

        path = given.fake_responses or given.fake_responses_non_strict
        return RecordedModel(Path(path), strict=given.fake_responses is not None)
    from runtime.model.client import GeminiClient
    from runtime.model.endpoint import endpoint

    client = GeminiClient(endpoint(config.environ, settings.auth(config).kind))
    if given.record_responses:
        from runtime.model.recorded import RecordingModel

        return RecordingModel(client, Path(given.record_responses))
    return client


def judge(config: settings.Config) -> ApprovalJudge:
    """Return the judge: the approval mode, until the defender is there."""
    return ApprovalJudge(mode=config.mode, core=config.core_tools, exclude=config.excluded_tools)


def parts(config: settings.Config, given: Any) -> Parts:
    """Return what the runtime of this run is made of. Raises AuthError, InputError."""
    tools, judging = Registry(), judge(config)
    scratch = scratch_folder(config)
    around = Surroundings(config.workspace, scratch, config.home, config.environ, config.setting("tools", {}))
    return Parts(judging, model(config, given), contexts(config, tools, judging, scratch), around, _flushed, tools)


async def _flushed(session: Session, text: str) -> None:
    # The answer was shown as it came; what is left of it goes out before the step counts as sent.
    await trio.lowlevel.checkpoint()
    sys.stdout.flush()


def sessions_folder(config: settings.Config) -> Path:
    """Return where the journals of this folder's sessions are."""
    return config.state / "sessions" / "tmp"


def scratch_folder(config: settings.Config) -> Path:
    return config.gemini / "tmp" / config.workspace.name


def contexts(config: settings.Config, tools: Registry, judging: Judge, scratch: Path) -> WorkspaceContexts:
    return WorkspaceContexts(tools, judging, lambda names: "You are an agent.", lambda: "<session_context>\nx\n</session_context>")


def message(config: settings.Config, given: Any, chance: Chance, stdin: TextIO) -> Message | None:
    text = given.prompt or " ".join(given.query)
    if not text:
        return None
    return Message(chance.uuid(), text, ({"text": text},))
