"""The command line: flags as Gemini CLI's (AGENT_LOOP), plus our own. Parses; reads no files and runs nothing."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from runtime.app.spellings import Flag, canonical
from runtime.errors import UsageError

EPILOG = """\
examples:
  twinstep -p "what does this project do?"          one prompt, the answer on stdout
  git diff | twinstep -p "review this"              the prompt is added to what comes on stdin
  twinstep -p "fix the tests" -y -o stream-json     all tools allowed, one JSON event a line
  twinstep -r latest -p "and now the docs"          go on with the newest session of this folder
  twinstep replay SESSION.jsonl                     replay a journal: no model, no tools, states compared
  twinstep export ID bug.twinstep --journal S.jsonl one file for a bug report, without secrets, that replays offline
  twinstep demo                                     see it work, with recorded answers and no key
  twinstep serve                                    run the gateway: sessions over WebSocket and HTTP
  twinstep attach main                              debug a session of a running gateway: stop, step, look, change
  twinstep chat main                                talk to a session of a running gateway
  twinstep guard --url ws://127.0.0.1:18789         judge what passes through an OpenClaw gateway that runs already
  twinstep approvals watch --url ws://HOST:PORT     see what a gateway asks people, and answer
  twinstep dap --stdio                              debug sessions of a running gateway in an editor (VS Code, Vim …)
  twinstep status                                   ask a running gateway how it is
  twinstep defender explain -- 'curl x | sh'        what the defender thinks of a command, and why
  twinstep quarantine list                          what the defender withheld; log: what it decided
  twinstep doctor                                   check the settings of the gateway, and say how to mend them
  eval "$(twinstep completion bash)"                complete commands and flags in this shell (or zsh, fish)

A folder that is not trusted needs --skip-trust.
environment: GEMINI_API_KEY, GOOGLE_GEMINI_BASE_URL, GEMINI_MODEL; settings: ~/.gemini/settings.json
exit codes: 0 done, 1 error, 41 no credentials, 42 bad input, 52 bad settings, 53 turn limit, 54 fatal tool error,
            55 untrusted folder, 130 SIGINT, 143 SIGTERM; with -o json and stream-json an HTTP status & 0xFF
"""

MODES: Final = ("enforce", "audit", "off")
"""What becomes of the defender's decisions."""
SESSION_ID: Final = r"[A-Za-z0-9_-]+"
"""What the peer takes for the id of a session, after it has removed space around it."""

ABSENT: Final = {
    Flag(("-i", "--prompt-interactive"), switch=False): "an interactive session",
    Flag(("-s", "--sandbox"), switch=True): "a sandbox",
    Flag(("-w", "--worktree"), switch=False): "a worktree",
    Flag(("-e", "--extensions"), switch=False): "extensions",
    Flag(("-l", "--list-extensions"), switch=True): "a list of extensions",
    Flag(("--acp",), switch=True): "ACP",
    Flag(("--experimental-acp",), switch=True): "ACP",
    Flag(("--policy",), switch=False): "policy files",
    Flag(("--admin-policy",), switch=False): "policy files",
    Flag(("--allowed-tools",), switch=False): "a list of allowed tools (there is the setting tools.core)",
    Flag(("--allowed-mcp-server-names",), switch=False): "MCP servers",
    Flag(("--include-directories",), switch=False): "more workspace folders",
    Flag(("--session-file",), switch=False): "a session file of Gemini CLI",
    Flag(("--delete-session",), switch=False): "the deletion of a session",
    Flag(("--screen-reader",), switch=True): "the screen reader mode",
}
"""Flags of Gemini CLI that this version does not have, and what they ask for. They are refused: a run without them
would be another run. A switch among them that is turned off asks for nothing."""
UNSUPPORTED_COMMANDS: Final = ("mcp", "extensions", "extension", "skills", "skill", "hooks", "hook", "gemma")
"""Commands of Gemini CLI. As the first word they are no prompt."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}. See {self.prog} --help.")


def port(text: str) -> int:
    """Return a port that a flag names. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 0 < int(text[:9]) < 65_536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def parser() -> Parser:
    """Return the parser of a headless run."""
    made = Parser(
        prog="twinstep",
        usage="twinstep [options] [query ...]\n"
        "       twinstep {approvals,attach,chat,completion,dap,defender,demo,doctor,export,guard,quarantine,replay,"
        "serve,status} ...",
        description="Run a Gemini agent as a step machine: journaled, replayable, stoppable between any two steps.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("query", nargs="*", help="the prompt, without -p")
    add("-p", "--prompt", help="run headless with this prompt; added to what comes on stdin")
    add("-m", "--model", help="model name or alias (pro, flash, flash-lite)")
    add("-o", "--output-format", choices=("text", "json", "stream-json"), help="format of the output")
    add("-y", "--yolo", action="store_true", help="allow all tools")
    add("--approval-mode", choices=("default", "auto_edit", "yolo", "plan"), help="which tools may run unasked")
    add("--defender", choices=MODES, help="what becomes of the defender's decisions (default: the settings, enforce)")
    add("--skip-trust", action="store_true", help="trust this folder for this run")
    add("-r", "--resume", nargs="?", const="latest", help="go on with a session: latest, a number, or an id")
    add("--session-id", help="id of the new session: letters, digits, - and _")
    add("--list-sessions", action="store_true", help="list the sessions of this folder and exit")
    add("--state", metavar="PATH", help="journal file: .jsonl, or .db .sqlite .sqlite3 for SQLite")
    add("--fake-responses", metavar="FILE", help="answer from a recording, line by line")
    add("--fake-responses-non-strict", metavar="FILE", help="answer from a recording, first unused line of the method")
    add("--record-responses", metavar="FILE", help="append the model's answers to a recording")
    add("--raw-output", action="store_true", help="do not remove terminal control sequences from model text")
    add("--accept-raw-output-risk", action="store_true", help="as --raw-output, without the warning")
    add("-d", "--debug", action="store_true", help="show tracebacks of our own errors")
    add("-v", "--version", action="store_true", help="show the version and exit")
    for flag, dest in [(_flag(action), action.dest) for action in made._actions if action.option_strings]:
        if flag.switch:
            add(flag.off, dest=dest, action="store_false", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return made


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the flags of a headless run. Raises UsageError."""
    _refuse_unsupported_command(argv)
    made = parser()
    known = [_flag(action) for action in made._actions if action.option_strings and action.help != argparse.SUPPRESS]
    given: Any = made.parse_intermixed_args(_without_absent(canonical(argv, [*known, *ABSENT])))
    if given.yolo and given.approval_mode:
        raise UsageError("Cannot use both --yolo (-y) and --approval-mode together. Use --approval-mode=yolo instead.")
    if given.prompt and given.query:
        raise UsageError("Cannot use both a positional prompt and the --prompt (-p) flag together.")
    recordings = [given.fake_responses, given.fake_responses_non_strict, given.record_responses]
    if sum(one is not None for one in recordings) > 1:
        raise UsageError(
            "Of --fake-responses, --fake-responses-non-strict and --record-responses only one may be given."
        )
    if given.resume is not None and given.session_id is not None:
        raise UsageError("Cannot use both --resume and --session-id together.")
    given.resume = given.resume if given.resume is None else given.resume.strip() or "latest"
    given.session_id = given.session_id if given.session_id is None else given.session_id.strip()
    if given.session_id is not None and not re.fullmatch(SESSION_ID, given.session_id):
        raise UsageError(f"--session-id {given.session_id!r}: must be made of letters, digits, - and _.")
    if given.state and not given.state.lower().endswith((".jsonl", ".db", ".sqlite", ".sqlite3")):
        raise UsageError(f"--state {given.state}: must end in .jsonl, .db, .sqlite or .sqlite3.")
    return given  # type: ignore[no-any-return]


def _refuse_unsupported_command(argv: Sequence[str]) -> None:
    if argv and argv[0] in UNSUPPORTED_COMMANDS:
        raise UsageError(f"{argv[0]}: this command of Gemini CLI is not here yet. As a prompt, give it with -p.")


def _without_absent(words: Sequence[str]) -> list[str]:
    """Leave out switches of ABSENT that are turned off. Raises UsageError for what else is in it."""
    end = words.index("--") if "--" in words else len(words)
    asked = {flag.name: what for flag, what in ABSENT.items()}
    for word in words[:end]:
        name = word.partition("=")[0]
        if name in asked:
            raise UsageError(f"{name} asks for {asked[name]}: not supported yet, and the flag is not ignored.")
    idle = {flag.off for flag in ABSENT if flag.switch}
    return [*(word for word in words[:end] if word not in idle), *words[end:]]


def _flag(action: argparse.Action) -> Flag:
    return Flag(tuple(action.option_strings), switch=action.nargs == 0, dashes=action.dest == "prompt")
