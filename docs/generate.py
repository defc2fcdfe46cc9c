"""Writes the pages of docs/reference that can be drawn from the code. Edits no page that a person wrote.

Run by `make docs`; tests/docs/test_reference.py fails when a page is not what this file would write.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from attrs import NOTHING, fields, has

from docs import (
    commands_page,
    dap_page,
    defender_commands_page,
    defender_policy_page,
    expressions_page,
    protocol_page,
)
from docs.markdown import MADE, code, summary, table
from runtime import __version__, errors
from runtime.app import completion
from runtime.config.openclaw.support import ACTED
from runtime.gateway import scopes
from runtime.gateway.http import openapi
from runtime.gateway.http.app import ROUTES
from runtime.gateway.params import Wire, wire_name
from runtime.gateway.registry import FAMILIES, Method, Raw
from runtime.policy import ApprovalJudge
from runtime.step import retry
from runtime.step.edits import EDITABLE
from runtime.step.effects import Effect
from runtime.step.events import EVENTS, On
from runtime.step.kinds import ABOUT
from runtime.step.outstanding import CALL_WAITS, WAITS
from runtime.step.response import NUDGES, PROBLEMS
from runtime.step.table import AGAIN, ALWAYS, CALL_AGAIN, CALL_TABLE, HOOK_BEFORE, OPEN, REST, TABLE, CallRule, Rule
from runtime.tools.claw import declarations as claw
from runtime.tools.declarations import ALIASES, SPECS
from runtime.vocab import ApprovalMode, Decision, ToolSpec

FOLDER: Final = Path(__file__).resolve().parent / "reference"


def error_tree(root: type[errors.TwinstepError], depth: int = 0) -> Iterator[tuple[int, type[errors.TwinstepError]]]:
    """Every error of runtime/errors.py with its depth in the tree, parents first."""
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_tree(child, depth + 1)


def errors_page() -> str:
    """The error tree with codes and exit statuses."""
    rows = [
        (
            "&emsp;" * depth + code(error.__name__),
            code(error.code),
            str(error.exit_code),
            "yes" if error.retryable else "no",
            summary(error.__doc__),
        )
        for depth, error in error_tree(errors.TwinstepError)
    ]
    return (
        f"# Errors\n\n{MADE}\n"
        "Every failure is one of these. The code is for wires and logs and does not change between versions. The exit\n"
        "status is how a headless run ends. Retryable means that the same request may be made again unchanged.\n\n"
        + table(("Error", "Code", "Exit status", "Retryable", "Meaning"), rows)
    )


STEPS: Final = f"""# Steps

{MADE}
A session moves by steps and by nothing else. A step is one event, applied to the state of the session: what was, what
came, what is, and which effects are wanted. Breakpoints, journals and listings use the names on this page; they do not
change between versions, and new ones stand behind the old.

A transition that is not on this page does not exist: an event that comes where no row has a place for it raises
`NoTransition` and changes nothing. Why the tables are data: [ADR 0001](../adr/0001-step-machine.md).
"""


def ordered(phases: Iterable[object], order: Iterable[object]) -> list[str]:
    """The values of phases, in the order in which they are declared."""
    chosen = set(phases)
    return [str(getattr(phase, "value", "")) for phase in order if phase in chosen]


def arrows(rows: Mapping[str, Mapping[On, Rule | CallRule]]) -> Iterator[str]:
    """The lines of a diagram: one arrow from a phase to the next, with every event that leads there."""
    for phase, rules in rows.items():
        events: dict[str, list[str]] = {}
        for on, rule in rules.items():
            for target in ordered(rule.to, type(next(iter(rule.to)))):
                events.setdefault(target, []).append(on.value)
        for target, names in events.items():
            yield f"    {plain(phase)} --> {plain(target)} : {', '.join(names)}\n"


def plain(phase: str) -> str:
    """The name of a phase as the language of diagrams takes it: without hyphens."""
    return phase.replace("-", "_")


def diagram(rows: Mapping[str, Mapping[On, Rule | CallRule]], first: str, more: str = "") -> str:
    """A state diagram drawn from the rows of a table. `more` are arrows that no event of their own takes."""
    lines = more + "".join(arrows(rows))
    return f"```mermaid\nstateDiagram-v2\n    [*] --> {first}\n{lines}```\n"


def transitions(rows: Mapping[str, Mapping[On, Rule | CallRule]]) -> str:
    """A table of transitions."""
    cells = [
        (code(phase), code(on.value), code(rule.kind.value), code(*ordered(rule.to, type(next(iter(rule.to))))))
        for phase, rules in rows.items()
        for on, rule in rules.items()
    ]
    return table(("Phase", "Event", "Step", "Next"), cells)


def kinds_section() -> str:
    """The kinds of steps."""
    rows = [(code(kind.value), scope, "yes" if kind.controls else "no", text) for kind, (scope, text) in ABOUT.items()]
    return "\n## Kinds\n\n" + table(("Step", "Scope", "Taken while held", "What it does"), rows)


def session_section() -> str:
    """Phases and transitions of a session."""
    rows = {phase.value: rules for phase, rules in TABLE.items()}
    order = list(TABLE)
    return (
        "\n## A session\n\n"
        "A phase either is ready, and then the machine takes the step itself (event `go`), or it waits for what an\n"
        f"effect brings. At rest, with no open prompt, are {code(*ordered(REST, order))}. In `calls` each call of the\n"
        "turn stands in a phase of its own (see [A call](#a-call)); there `go` is the step of a call.\n\n"
        + diagram(rows, "new")
        + "\n"
        + transitions(rows)
    )


def always_section() -> str:
    """What any phase answers, and where waits go back to."""
    reached = {
        On.BRANCH: "where the wait began",
        On.RECOVER: "where the wait began",
        On.CANCEL: "`cancelled`",
        On.FAULT: "`failed`",
        On.CLOSE: "`closed`",
    }
    where = {
        REST | OPEN: "every phase but `new` and `closed`",
        OPEN: "every phase with an open prompt",
        REST: "at rest",
    }
    rows = [
        (code(on.value), code(kind.value), where[phases], reached.get(on, "the same phase"))
        for on, (kind, phases) in ALWAYS.items()
    ]
    back = [(code(phase.value), code(before.value)) for phase, before in AGAIN.items()]
    back += [(f"call {code(phase.value)}", f"call {code(before.value)}") for phase, before in CALL_AGAIN.items()]
    return (
        "\n## In any phase\n\n"
        "These stand in no row above, because it does not matter where the session stands. An edit of a message that\n"
        "is being screened leads back to `screen`, and an edit that answers the last call leads to `turn-end`.\n\n"
        + table(("Event", "Step", "In", "Leads to"), rows)
        + "\nA new branch and the recovery after a crash find effects gone that the state still waits for. They go\n"
        "back to where each wait began, so that the effect is wanted again. A tool that was running is started again\n"
        "only if that is harmless (`pure`, `idempotent`); else its result tells the model that it was interrupted.\n\n"
        + table(("From", "Back to"), back)
    )


def calls_section() -> str:
    """Phases and transitions of a call."""
    rows = {phase.value: rules for phase, rules in CALL_TABLE.items()}
    return (
        "\n## A call\n\n"
        "The calls of one answer run in waves: neighbours that may run together share one. Calls of later waves are\n"
        "`queued` and become `judge` when the wave before is finished. A call starts only when every call of its wave\n"
        "is decided. A verdict counts only for exactly the arguments that were judged.\n\n"
        + diagram(rows, "queued", "    queued --> judge : wave before finished\n")
        + "\n"
        + transitions(rows)
    )


def hooks_section() -> str:
    """Where hooks stand."""
    rows = [(code(name), code(phase.value)) for phase, name in HOOK_BEFORE.items()]
    return (
        "\n## Hooks\n\nWhere an event has a listener, its phase is entered through `hook` and `hooking`.\n\n"
        + table(("Event", "Before"), rows)
    )


def effects_section() -> str:
    """The effects, and where they are waited for."""
    waited = {kind: code(phase.value) for phase, kind in WAITS.items()}
    waited |= {kind: f"call {code(phase.value)}" for phase, kind in CALL_WAITS.items()}
    rows = [
        (code(kind.__name__), waited[kind], "yes" if kind.outside else "no", summary(kind.__doc__))
        for kind in get_args(Effect)
    ]
    return (
        "\n## Effects\n\n"
        "A step wants effects and performs none. Those that somebody outside the process could notice wait until the\n"
        "event that wanted them is on disk.\n\n"
        + table(("Effect", "Waited for in", "Noticed outside", "What it does"), rows)
    )


def events_section() -> str:
    """The events."""
    rows = [(code(on.value), code(kind.__name__), summary(kind.__doc__)) for on, kind in EVENTS.items()]
    return "\n## Events\n\n" + table(("Event", "Class", "What happened"), rows)


def edits_section() -> str:
    """The paths that may be edited."""
    rows = [(code(path), text) for path, text in EDITABLE.items()]
    return (
        "\n## What can be edited\n\n"
        "An edit is an event like any other: journaled, and undone by going back. What was judged is judged again.\n\n"
        + table(("Path", "What it is"), rows)
    )


def retries_section() -> str:
    """Both retry loops."""
    backoff, kinds = retry.REQUESTS, code(*sorted(retry.RETRIED_KINDS))
    waits = ", ".join(f"{wait:g}" for wait in retry.INVALID_WAITS)
    waited = ", ".join(f"{backoff.seconds(failures, 0.5):g}" for failures in range(1, 5))
    rows = [(code(name), text, "yes" if name in NUDGES else "no") for name, text in PROBLEMS.items()]
    return (
        "\n## Retries\n\n"
        f"A request that failed before its first chunk with status {statuses()}, or as {kinds}, waits\n"
        f"{waited} … seconds, spread by ± {backoff.jitter:.0%}. A wait that the API asked for is kept where it is\n"
        f"longer, and grows by up to {retry.HINT_SPREAD:.0%}. A stream that was reset in the middle is tried\n"
        f"{retry.MIDSTREAM_TRIES} times again; one that the other side closed is not.\n\n"
        f"A stream that ended in order and is no good answer is asked for again after {waits} seconds, and then the\n"
        "prompt fails with one of these types. A nudge is a sentence that the retry adds to the request.\n\n"
        + table(("Type", "What was wrong", "Nudge"), rows)
    )


def statuses() -> str:
    """The statuses that are retried: those below 500 by number."""
    low = sorted(status for status in retry.RETRIED_STATUS if status < 500)
    return f"{', '.join(str(status) for status in low)} or {min(retry.RETRIED_STATUS - set(low)) // 100}xx"


def steps_page() -> str:
    """The whole page."""
    sections = (
        kinds_section,
        session_section,
        calls_section,
        always_section,
        hooks_section,
        effects_section,
        events_section,
        edits_section,
        retries_section,
    )
    return STEPS + "".join(section() for section in sections)


def command_line_page() -> str:
    """Every command with its flags, as the parsers have them."""
    return (
        f"# Command line\n\n{MADE}\n"
        "The first word of the line decides: if it is the name of a command, that command runs; anything else is a\n"
        "headless run. `--version` or `-v` anywhere prints the version and does nothing else. The exit codes are\n"
        "[a page of their own](exit-codes.md), and so are [settings and environment](settings.md).\n"
        + "".join(command_section(name, made) for name, made in completion.parsers().items())
    )


def command_section(name: str, made: argparse.ArgumentParser) -> str:
    """What one command takes."""
    title = f"twinstep {name}" if name else "A headless run"
    usage = made.usage or " ".join((made.prog, "[options]", *positionals(made)))
    shown = [action for action in made._actions if action.help != argparse.SUPPRESS]
    rows = [(spelling(action), values(action), (action.help or "")) for action in shown]
    more = f"\n```text\n{made.epilog.rstrip()}\n```\n" if made.epilog else ""
    return (
        f"\n## {title}\n\n{made.description}\n\n```text\n{dedented(usage)}\n```\n\n"
        + table(("Flag or argument", "Takes", "Meaning"), rows)
        + more
    )


def dedented(usage: str) -> str:
    """The lines of a usage without the margin that stands below `usage: `."""
    return "\n".join(line.strip() for line in usage.splitlines())


def positionals(made: argparse.ArgumentParser) -> list[str]:
    """The names of the arguments that are no flags."""
    return [action.dest for action in made._actions if not action.option_strings]


def spelling(action: argparse.Action) -> str:
    """How a flag or an argument is written."""
    return ", ".join(map(code, action.option_strings)) or action.dest


def values(action: argparse.Action) -> str:
    """What stands behind a flag."""
    if action.nargs == 0:
        return ""
    named = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    taken = ", ".join(code(str(choice)) for choice in action.choices) if action.choices else named
    if action.nargs != "?":
        return taken
    return f"{taken}; may be left out" + (f": `{action.const}`" if action.const is not None else "")


AFTER_A_CRASH: Final = {
    "pure": "runs again: it changes nothing",
    "idempotent": "runs again: a second time comes to the same",
    "compensable": "does not run again; the model is told that it was interrupted",
    "irreversible": "does not run again; the model is told that it was interrupted",
}


def tools_page() -> str:
    """Every built-in tool: what it takes, what running it means, and the modes that allow it."""
    modes = tuple(ApprovalMode)
    rows = [(f"[{code(spec.name)}](#{spec.name})", *(allowed(mode, spec) for mode in modes)) for spec in SPECS]
    aliases = ", ".join(f"{code(old)} for {code(new)}" for old, new in ALIASES.items())
    return (
        f"# Tools\n\n{MADE}\n"
        "The tools that the model is offered, with the texts that it gets about them. Names and parameters are those\n"
        f"of Gemini CLI 0.61. Old names that still run: {aliases}.\n\n"
        "## Which approval mode allows which tool\n\n"
        "In a run where nobody can be asked, as every run is in this version. A tool that is not offered is unknown\n"
        "to the model; a call to it is answered with an error. `tools.core` and `tools.exclude` in the\n"
        "[settings](settings.md) narrow this further.\n\n"
        + table(("Tool", *(code(mode.value) for mode in modes)), rows)
        + "".join(tool_section(spec) for spec in SPECS)
    )


def tool_flows_page() -> str:
    """What every tool does with values, as the judge of provenance sees it."""

    def names(given: tuple[str, ...]) -> str:
        return ", ".join(map(code, given)) or "none"

    def rows(specs: Iterable[ToolSpec]) -> list[tuple[str, ...]]:
        return [
            (code(one.name), one.flow.effect, names(one.flow.sinks), names(one.flow.contents), one.flow.result)
            for one in specs
        ]

    heads = ("Tool", "Effect", "Says where to", "Carries", "Brings")
    claws = {one.name: one for one in vars(claw).values() if isinstance(one, ToolSpec)}
    return (
        f"# What tools do with values\n\n{MADE}\n"
        "The judge of [provenance](../explanation/defender-taint.md) follows values by these rows. A tool that is in\n"
        "no table may do anything, all its arguments say where to, and what it brings is untrusted. `fetch` asks an\n"
        "address for something, `local` changes the workspace, `egress` sends something out, `privileged` may be more\n"
        "than that. What a command does is found out for each. An `echo` is as trusted as what the call was given.\n\n"
        "## Runs of the command line\n\n" + table(heads, rows(SPECS)) + "\n"
        "## Sessions of the gateway\n\n" + table(heads, rows(claws[name] for name in sorted(claws)))
    )


def allowed(mode: ApprovalMode, spec: ToolSpec) -> str:
    """What a mode says to a tool when nobody can be asked."""
    judge = ApprovalJudge(mode=mode)
    if not judge.offers(spec):
        return "not offered"
    return "runs" if judge.judged(spec, {}).decision is Decision.ALLOW else "offered, calls refused"


def tool_section(spec: ToolSpec) -> str:
    """One tool."""
    taken: Mapping[str, Any] = spec.parameters["properties"]
    required = spec.parameters["required"]
    rows = [(code(name), type_of(one), "yes" if name in required else "", about(one)) for name, one in taken.items()]
    beside = "beside others" if spec.parallel else "alone"
    return (
        f"\n## {spec.name}\n\n{spec.description}\n\n"
        f"Effect class `{spec.effect.value}`: after a crash in the middle it {AFTER_A_CRASH[spec.effect.value]}. "
        f"Of several calls in one answer, it runs {beside}.\n\n"
        + table(("Parameter", "Type", "Required", "Meaning"), rows)
    )


def type_of(schema: Mapping[str, Any]) -> str:
    """The type of a parameter in words."""
    if schema["type"] == "array":
        return f"list of {schema['items']['type']}s"
    least = f", from {schema['minimum']}" if "minimum" in schema else ""
    return f"{schema['type']}{least}"


def about(schema: Mapping[str, Any]) -> str:
    """The meaning of a parameter; members of an object are named with theirs."""
    inner: Mapping[str, Any] = schema.get("properties", {})
    return " ".join((schema["description"], *(f"{code(name)}: {one['description']}" for name, one in inner.items())))


GATEWAY: Final = f"""# Gateway methods

{MADE}
What clients may ask `twinstep serve` for over a WebSocket: the protocol of OpenClaw's gateway, wire protocol 4. How a
message goes through it is [a page of its own](../explanation/gateway.md); how to run it is
[another](../how-to/run-a-gateway.md).

A method that is not on this page is unknown: an administrator is told so, everybody else that `operator.admin` is
missing. `operator.admin` implies every scope but those of the debugger, `operator.write` implies `operator.read`.
Params that may be left out have a `?`; others that are not named here are refused, with the path of each. A gateway
without what a method works on answers `UNAVAILABLE`. With `--debug-over-websocket` there are also the methods `debug.*`
([how](../how-to/debug-remotely.md)).
"""

NOT_SERVED: Final = """
## Not served

These families of OpenClaw's gateway are answered as unknown methods. What the tables above have of a family is served;
the rest of it is not, and nothing of it pretends to work.

"""
SETTINGS: Final = """
## Settings

The keys of `openclaw.json` that have an effect, each with all that is below it; `*` is any name. `$schema`, `meta`,
`wizard` and `auth.profiles` are notes of programs, and stand here because they need none. Other keys of OpenClaw are
accepted and do nothing yet: the gateway names them when it starts, and so does `twinstep doctor`. A key that OpenClaw
does not have either is refused.

"""
ABSENT: Final = (
    (
        "talk.* tts.* voicewake.*",
        "speech in both directions; `talk.config`, `tts.status` and `voicewake.get` say that there is none",
    ),
    (
        "channels.* conversations.* send poll message.action web.login.*",
        "chat networks; until there is one, whoever names one is told that it is unknown",
    ),
    ("wizard.* openclaw.* migrations.* doctor.*", "setting up by questions; `twinstep doctor` looks at a home"),
    (
        "environments.* worker.* worktrees.* projects.*",
        "work on other machines and in other trees; `environments.list` names this gateway and the nodes",
    ),
    (
        "desktop.* computer.* browser.* canvas.* terminal.* portal.*",
        "screens, browsers and terminals of the gateway",
    ),
    ("plugins.* plugin.* skills.* mcp.* claws.*", "plugins and skills; `skills.status` says that there are none"),
    (
        "board.* progressCard.* themes.* ui.* controlUi.* github.* mentions.* push.*",
        "what the browser's pages show besides conversations",
    ),
    (
        "session.* users.* attach.*",
        "several people at one gateway; `users.self` says that connections are no people",
    ),
    ("memory.* transcripts.* taskSuggestions.* webSearch.*", "memory, recordings and searches of its own"),
    (
        "models.auth* models.probe secrets.store.* secrets.resolve",
        "keys in the gateway's keeping; they are in the settings and the environment",
    ),
    (
        "update.* gateway.suspend.* gateway.restart.*",
        "updating and restarting itself; `update.status` says that it does not",
    ),
    (
        "agents.workspace.* fs.* assistant.* artifacts.get artifacts.download",
        "files of a workspace other than those of `agents.files.*`",
    ),
    (
        "tasks.get tasks.cancel tasks.retry audit.activity.list audit.run.inspect diagnostics.lanes",
        "single tasks and runs; `sessions.abort` gives up a run",
    ),
)
"""Families, and what they would be."""


def gateway_page() -> str:
    """Every method of the gateway, by family."""
    absent = table(("Family", "What it would be"), ((code(*names.split()), text) for names, text in ABSENT))
    methods = "".join(family_section(family) for family in FAMILIES)
    return GATEWAY + methods + NOT_SERVED + absent + SETTINGS + settings_with_effect()


def settings_with_effect() -> str:
    """The keys of openclaw.json that something here acts on, a row for each part of the file."""
    parts: dict[str, list[str]] = {}
    for key in sorted(ACTED):
        parts.setdefault(key.partition(".")[0], []).append(key)
    return table(("Part", "Keys"), ((code(part), code(*keys)) for part, keys in parts.items()))


def family_section(family: str) -> str:
    """The methods of one file of the registry."""
    module = import_module(f"runtime.gateway.methods.{family}")
    methods: list[Method] = module.METHODS
    rows = [
        (code(method.name), scope_of(method.name), params_of(method.params), summary(method.handler.__doc__))
        for method in methods
    ]
    told = summary(module.__doc__).replace("*", r"\*")
    return f"\n## {family}\n\n{told}\n\n" + table(("Method", "Scope", "Params", "Answer"), rows)


def scope_of(method: str) -> str:
    """What a caller needs."""
    if method in scopes.OPEN_METHODS:
        return "none"
    if method in scopes.NODE_METHODS:
        return "role `node`"
    if method in scopes.METHOD_SCOPES:
        return code(scopes.METHOD_SCOPES[method])
    return f"{code(*scopes.required(method))}; other params may need another"


def params_of(kind: Any) -> str:
    """The params that a method takes, in their order."""
    if kind is Raw:
        return "as OpenClaw's"
    if not has(kind):
        return "any; those that mean nothing count as absent"
    return code(*(param(kind, one) for one in fields(kind))) or "none"


def param(kind: Any, one: Any) -> str:
    """The name of a param on the wire, with a sign if it may be left out."""
    hint = get_type_hints(kind, include_extras=True)[one.name]
    marks = getattr(hint, "__metadata__", ())
    name = next((mark.name for mark in marks if isinstance(mark, Wire)), wire_name(one.name))
    return name if one.default is NOTHING else f"{name}?"


def openapi_document() -> str:
    """The HTTP interfaces of the gateway, as the gateway itself describes them."""
    return openapi.text(ROUTES, __version__)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "command-line.md": command_line_page,
    "dap.md": dap_page.page,
    "debugger-commands.md": commands_page.page,
    "debugger-expressions.md": expressions_page.page,
    "debugger-protocol.md": protocol_page.page,
    "defender-commands.md": defender_commands_page.page,
    "defender-policy.md": defender_policy_page.page,
    "errors.md": errors_page,
    "gateway.md": gateway_page,
    "openapi.json": openapi_document,
    "steps.md": steps_page,
    "tool-flows.md": tool_flows_page,
    "tools.md": tools_page,
}


def main() -> None:
    """Write every page, and say which changed."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
