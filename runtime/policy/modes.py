"""What each approval mode allows (AGENT_LOOP section 3). Decides; it runs nothing and asks nobody.

Rule 1: a tool whose group is not in MODES, or whose mode is not in the row, is not allowed.
Rule 2: where a person could say yes but nobody can be asked, the tool is not offered and a call to it is blocked.
Rule 3: plan mode is stronger than `tools.core`; `tools.exclude` is stronger than everything.

The reason of a verdict is the whole text of the error that the model and the person get.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from attrs import frozen

from runtime.policy.entries import SHELL, Entry, begins, entries, holds
from runtime.ports import Asked
from runtime.provenance import Provenance
from runtime.vocab import ApprovalMode, Decision, JsonObject, Message, ToolResult, ToolSpec, Verdict

D, E, Y, P = ApprovalMode.DEFAULT, ApprovalMode.AUTO_EDIT, ApprovalMode.YOLO, ApprovalMode.PLAN

GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "activate_skill": "skill",
        "ask_user": "person",
        "enter_plan_mode": "into-plan",
        "exit_plan_mode": "out-of-plan",
        "google_web_search": "read",
        "invoke_agent": "agent",
        "list_background_processes": "execute",
        "read_background_output": "execute",
        "replace": "edit",
        "run_shell_command": "execute",
        "update_topic": "read",
        "web_fetch": "fetch",
        "write_file": "edit",
        "write_todos": "list",
    }
)
"""Groups of tools by name. A tool that is not here belongs to the group of its kind."""

MODES: Final[Mapping[str, frozenset[ApprovalMode]]] = MappingProxyType(
    {
        "read": frozenset({D, E, Y, P}),
        "agent": frozenset({D, E, Y, P}),
        "edit": frozenset({E, Y, P}),
        "fetch": frozenset({E, Y}),
        "execute": frozenset({Y}),
        "skill": frozenset({Y}),
        "list": frozenset({Y}),
        "into-plan": frozenset({D, E, Y}),
        "out-of-plan": frozenset({P}),
    }
)
"""In which modes the tools of a group run unasked. In plan mode, agents and edits are looked at call by call."""

ASKED: Final[Mapping[str, frozenset[ApprovalMode]]] = MappingProxyType(
    {
        "edit": frozenset({D}),
        "fetch": frozenset({D, P}),
        "execute": frozenset({D, E}),
        "skill": frozenset({D, E, P}),
        "list": frozenset({D, E}),
        "person": frozenset({D, E, Y, P}),
    }
)
"""In which modes a person may allow the tools of a group, if there is one to ask."""

PLAN_AGENTS: Final = frozenset({"codebase_investigator", "cli_help"})

DENIED: Final = "Tool execution denied by policy."
PLAN_WRITES: Final = (
    f"{DENIED} You are in Plan Mode and cannot modify source code. You may ONLY use write_file or replace to save "
    "plans to the designated plans directory as .md files."
)
PLAN_READS: Final = (
    f"{DENIED} You are in Plan Mode with access to read-only tools. Execution of scripts (including those from skills) "
    "is blocked."
)

_RULES: Final[Mapping[ApprovalMode, str]] = {D: "mode.default", E: "mode.auto-edit", Y: "mode.yolo", P: "mode.plan"}


@frozen(kw_only=True)
class ApprovalJudge:
    """Judges by approval mode and by the tool lists of the settings. Has no say about messages and replies.

    `core` are the entries of `tools.core` (None: no such list), `exclude` those of `tools.exclude`. `interactive` says
    that a person can be asked. `plans` is the absolute folder in which plan mode may write (None: nowhere).
    """

    mode: ApprovalMode = ApprovalMode.DEFAULT
    core: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    interactive: bool = False
    plans: str | None = None

    @cached_property
    def _core(self) -> tuple[Entry, ...] | None:
        return None if self.core is None else entries(self.core)

    @cached_property
    def _exclude(self) -> tuple[Entry, ...]:
        return entries(self.exclude)

    def offers(self, spec: ToolSpec) -> bool:
        """Whether the model is told of this tool at all."""
        if any(entry == Entry(spec.name) for entry in self._exclude):
            return False
        if self._core is not None and not any(entry.name == spec.name for entry in self._core):
            return False
        return self._ruled(spec).decision is not Decision.BLOCK

    async def screen(self, session: str, message: Message) -> Verdict:
        """Let every message in."""
        return Verdict(Decision.ALLOW, "mode.messages")

    async def reply(self, session: str, text: str) -> Verdict:
        """Let every reply out."""
        return Verdict(Decision.ALLOW, "mode.messages")

    async def call(self, session: str, asked: Asked) -> Verdict:
        """Judge one tool call with exactly the arguments that would run."""
        return self.judged(asked.spec, asked.args)

    async def result(
        self, session: str, spec: ToolSpec, args: JsonObject, result: ToolResult, provenance: Provenance
    ) -> Verdict:
        """Let every result join."""
        return Verdict(Decision.ALLOW, "mode.messages")

    def judged(self, spec: ToolSpec, args: JsonObject) -> Verdict:
        """Return the verdict on a call: exclusions, then the core list, then the mode."""
        command = str(args.get("command", "")) if spec.name == SHELL else ""
        for entry in self._exclude:
            if entry.name == spec.name and (not entry.words or holds(command, entry.words)):
                return _blocked("tools.exclude", f"tools.exclude forbids {_told(entry)}.")
        if self._core is not None:
            named = tuple(entry for entry in self._core if entry.name == spec.name)
            if not named:
                return _blocked("tools.core", f"tools.core does not name {spec.name}.")
            if all(entry.words for entry in named) and not begins(command, (entry.words for entry in named)):
                allowed = ", ".join(entry.words for entry in named)
                return _blocked("tools.core", f"tools.core allows only commands that begin with: {allowed}.")
        verdict = self._ruled(spec)
        return self._planned(spec, args) if verdict.rule == "mode.plan" else verdict

    def _ruled(self, spec: ToolSpec) -> Verdict:
        """Return what the mode says about the tool, whatever the arguments."""
        group = GROUPS.get(spec.name, spec.kind)
        if self.mode in MODES.get(group, ()):
            if group == "read":
                return Verdict(Decision.ALLOW, "mode.read-only")
            return Verdict(Decision.ALLOW, _RULES[self.mode])
        if self._core is not None and self.mode is not P and group != "person":
            return Verdict(Decision.ALLOW, "tools.core")
        if self.mode in ASKED.get(group, ()):
            return self._asked("mode.ask", f"{spec.name} needs a person's yes in mode {self.mode.value}")
        if group not in MODES and group not in ASKED:
            return self._asked("mode.unknown", f"no rule knows {spec.name}")
        if self.mode is P:
            return Verdict(Decision.BLOCK, "mode.plan", PLAN_READS)
        return _blocked(_RULES[self.mode], f"{spec.name} has no place in mode {self.mode.value}.")

    def _asked(self, rule: str, why: str) -> Verdict:
        """Leave it to a person, or block it where there is none."""
        if self.interactive:
            return Verdict(Decision.REVIEW, rule, f"{why}.")
        return _blocked("mode.headless" if rule == "mode.ask" else rule, f"{why}, and nobody can be asked.")

    def _planned(self, spec: ToolSpec, args: JsonObject) -> Verdict:
        """Return what plan mode says about a call."""
        match GROUPS.get(spec.name, spec.kind):
            case "out-of-plan":
                return Verdict(Decision.ALLOW, "mode.plan")
            case "agent" if args.get("agent_name") in PLAN_AGENTS:
                return Verdict(Decision.ALLOW, "mode.plan")
            case "edit" if self._is_plan(args.get("file_path")):
                return Verdict(Decision.ALLOW, "mode.plan")
            case "edit":
                return Verdict(Decision.BLOCK, "mode.plan", PLAN_WRITES)
        return Verdict(Decision.BLOCK, "mode.plan", PLAN_READS)

    def _is_plan(self, path: object) -> bool:
        # Only whole paths: a bare name would be taken for a file of the workspace by the tools.
        if self.plans is None or not isinstance(path, str):
            return False
        folder = f"{self.plans.rstrip('/')}/"
        return path.startswith(folder) and re.fullmatch(r"(?a)[\w-]+\.md", path[len(folder) :]) is not None


def _blocked(rule: str, why: str) -> Verdict:
    return Verdict(Decision.BLOCK, rule, f"{DENIED} {why}")


def _told(entry: Entry) -> str:
    return f"commands with {entry.words!r}" if entry.words else entry.name
