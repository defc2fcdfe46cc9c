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
from runtime.app.defenderhelp import EPILOG, EPILOGS, SUBCOMMANDS
from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.app.defending import Defending


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
    _files(_command(sub, "labels"))
    trust = _command(sub, "trust")
    _files(trust)
    trust.add_argument("--why", default="", help="why they are right")
    trust.add_argument("--who", default="", help="who says so (default: the user of this process)")
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


def _files(made: argparse.ArgumentParser) -> None:
    made.add_argument("path", nargs="?", default=".", metavar="PATH", help="a file or a folder (default: this folder)")
    made.add_argument("--json", action="store_true", help="print one JSON object")


def _place(made: argparse.ArgumentParser) -> None:
    made.add_argument("--headless", action="store_true", help="that of `twinstep -p` (default: that of the gateway)")


def _policy(made: argparse.ArgumentParser) -> None:
    do = made.add_subparsers(dest="do", metavar="ACTION", required=True, parser_class=Parser)
    show = _action(do, "show", "print every key with its value")
    _place(show)
    show.add_argument("file", nargs="?", metavar="FILE", help="that policy (default: the one that is set)")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    sign = _action(do, "sign", "sign a policy in place")
    sign.add_argument("file", metavar="FILE", help="the policy")
    sign.add_argument("--key", metavar="FILE", required=True, help="the private key")
    verify = _action(do, "verify", "check a policy, and its signature")
    verify.add_argument("file", metavar="FILE", help="the policy")
    verify.add_argument("--pub", metavar="FILE", action="append", default=[], help="a public key that is pinned")
    key = _action(do, "key", "make a key pair")
    key.add_argument("file", metavar="FILE", help="where the private key goes; the public one beside it, with .pub")
    reload = _action(do, "reload", "have a running gateway read its policy again")
    reload.add_argument("--port", type=port, help="port of the gateway (default: that of the settings)")
    reload.add_argument("--token", help="its shared secret (default: that of the settings)")


def _action(do: Any, name: str, about: str) -> argparse.ArgumentParser:
    described = f"{about[0].upper()}{about[1:]}."
    made: argparse.ArgumentParser = do.add_parser(name, help=about, description=described, allow_abbrev=False)
    return made


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


def _labels(given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app.vouching import labels

    return labels(here(headless=True).label_file, given.path, out, as_json=given.json)


def _trust(given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app.vouching import trust

    made = here(headless=True)
    return trust(made.label_file, given.path, made.places, out, who=given.who, why=given.why, as_json=given.json)


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
        "ledger": made.places.folder,
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
    "labels": _labels,
    "trust": _trust,
    "policy": _of_policy,
    "integrity": _of_integrity,
}
