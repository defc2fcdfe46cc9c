"""`twinstep approvals`: the questions of a gateway in a terminal, and their answers. Parses its flags."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runtime.app.arguments import Parser
from runtime.app.attach import own_folder, seconds
from runtime.app.console import Pipe
from runtime.app.guard import add_way, warn, way
from runtime.errors import UsageError

EPILOG: Final = """\
examples:
  twinstep approvals list --url ws://127.0.0.1:18789 --token-file token.txt
                                               the questions that wait, a line each
  export OPENCLAW_GATEWAY_URL=ws://127.0.0.1:18789 OPENCLAW_GATEWAY_TOKEN=...
  twinstep approvals show 5f2b9c01             all of one: tool, arguments, rule, reason, chain
  twinstep approvals allow 5f2b9c01            yes, this once
  twinstep approvals allow 5f2b9c01 --args '{"command": "ls"}'
                                               yes, with these arguments in place of those
  twinstep approvals deny 5f2b9c01
  twinstep approvals watch                     each new question; on a terminal it asks y, n, or e to edit
  twinstep approvals watch --json --for 600    one JSON object a line

What looks like a secret is shown as ***; what has the syntax of a shell in it is not taken for one. While `watch` runs,
the gateway has somebody to ask. From another machine it comes as a device, to be let in once (`openclaw devices
approve`). It asks for the scopes operator.read, operator.approvals and operator.admin: OpenClaw shows questions of
others to administrators only.
files: ~/.local/state/twinstep/approvals-device.key, approvals-tokens.json (XDG_STATE_HOME)
exit codes: 0 done, 1 no such question, or the answer was not taken, 2 usage, 3 no connection, or refused, or lost,
            130 SIGINT, 143 SIGTERM
"""
ACTIONS: Final = ("list", "show", "allow", "deny", "watch")
USAGE: Final = 2
LARGEST: Final = 1 << 20
"""Characters of --args."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep approvals",
        description="Show the questions that a gateway puts to people, and answer them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("action", choices=ACTIONS, help="what to do")
    add("id", nargs="?", default="", help="id of a question, or its first 8 characters or more (show, allow, deny)")
    add_way(made)
    add("--args", metavar="JSON", help="allow: run with these arguments in place of those that were asked about")
    add("--for", type=seconds, metavar="N", dest="lasting", help="watch: end after so many seconds")
    add("--json", action="store_true", help="print JSON, with watch one object a line")
    return made


def run(argv: Sequence[str], out: Pipe) -> int:
    """Do one of the actions; return the exit code."""
    try:
        given = parser().parse_args(list(argv))
        args = checked(given)
        address = way(given, os.environ, own_folder(os.environ) / "approvals-device.key")
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    warn(address)
    from runtime.app.approvalrun import Wanted, approvals

    folder = own_folder(os.environ)
    return approvals(Wanted(given.action, given.id, address, folder, args, given.lasting, given.json), out, sys.stderr)


def checked(given: Any) -> Mapping[str, Any] | None:
    """Return the arguments of --args, None without them. Raises UsageError where flags do not fit the action."""
    if (given.action in ("show", "allow", "deny")) != bool(given.id):
        how = "takes no id" if given.id else "needs the id of a question, see `twinstep approvals list`"
        raise UsageError(f"{given.action}: {how}")
    if given.args is not None and given.action != "allow":
        raise UsageError("--args: goes with allow")
    if given.lasting is not None and given.action != "watch":
        raise UsageError("--for: goes with watch")
    return None if given.args is None else arguments_of(given.args, "--args")


def arguments_of(text: str, where: str) -> Mapping[str, Any]:
    """Return the arguments of a call that a person typed. Raises UsageError."""
    try:
        found = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{where}: is no JSON ({str(exc).splitlines()[0]})") from exc
    if not isinstance(found, dict):
        raise UsageError(f"{where}: must be a JSON object of {LARGEST} characters at most, as in {{}}")
    return found
