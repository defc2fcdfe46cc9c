"""The tools of gateway sessions: OpenClaw's names and shapes over the implementations beside this package.

Holds no state: what runs belongs to the `Background` that is handed in. Decides about no call.
"""

from typing import TYPE_CHECKING

from runtime.ports import Tool

if TYPE_CHECKING:
    from runtime.tools.claw.background import Background
    from runtime.tools.claw.paths import ModeOf
    from runtime.tools.claw.status import Sessions


def _workspace_only(session: str) -> str | None:
    """The mode of sessions of which nobody says another one."""
    return "workspace"


def claw_tools(
    background: "Background", *, mode_of: "ModeOf" = _workspace_only, sessions: "Sessions | None" = None
) -> list[Tool]:
    """Return the tools, by name. `mode_of` tells the permission mode of a session (None: it has none); where nothing
    tells it, file tools stay in the workspace. With `sessions` there are the tools that tell about sessions too."""
    from runtime.tools.claw.apply_patch import ApplyPatch
    from runtime.tools.claw.edit import Edit
    from runtime.tools.claw.exec import Exec
    from runtime.tools.claw.fetch import WebFetch
    from runtime.tools.claw.ls import Ls
    from runtime.tools.claw.process import Process
    from runtime.tools.claw.read import Read
    from runtime.tools.claw.status import SessionsList, SessionStatus
    from runtime.tools.claw.write import Write

    tools: list[Tool] = [
        ApplyPatch(mode_of),
        Edit(mode_of),
        Exec(background),
        Ls(mode_of),
        Process(background),
        Read(mode_of),
        WebFetch(background.chance),
        Write(mode_of),
    ]
    if sessions is not None:
        tools += [SessionStatus(sessions), SessionsList(sessions)]
    return sorted(tools, key=lambda tool: tool.spec.name)


def people_tools(sessions: "Sessions") -> list[Tool]:
    """Return the tools that only people call, through `tools.invoke`."""
    from runtime.tools.claw.conversations import AgentsList, SessionsHistory

    return [AgentsList(sessions), SessionsHistory(sessions)]
