"""`twinstep guard`: judges the traffic of a gateway that runs already, as one of its clients. Parses its flags."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from runtime.app.arguments import Parser
from runtime.app.attach import own_folder, seconds
from runtime.app.console import Pipe
from runtime.errors import UsageError

EPILOG: Final = """\
examples:
  twinstep guard --url ws://127.0.0.1:18789 --token-file token.txt
                                          judge what passes; one line for each review and block
  OPENCLAW_GATEWAY_TOKEN=... twinstep guard --url ws://127.0.0.1:18789 --json >> decisions.jsonl
  twinstep guard --url wss://gateway.example:18789 --approvals deny-blocked
                                          also say no to commands that are blocked; never yes
  twinstep guard --url ws://127.0.0.1:18789 --wait 30 --for 3600

It needs a gateway of OpenClaw's protocol 4 and its shared secret. From another machine it comes as a device of its own,
which somebody has to let in once: `openclaw devices approve`. It asks for the scope operator.read, and changes nothing.
With --approvals deny-blocked it also asks for operator.approvals and operator.admin (questions of others are shown to
administrators only), and the gateway takes it for somebody who can be asked.
Decisions are those of `twinstep defender explain`; VirusTotal is asked if TWINSTEP_VIRUSTOTAL_KEY is set.
files: ~/.local/state/twinstep/guard-device.key, guard-tokens.json (XDG_STATE_HOME), and the quarantine
exit codes: 0 the time of --for is over, 1 output or settings cannot be used, 2 usage, 3 no connection, or refused,
            130 SIGINT, 143 SIGTERM
"""
USAGE: Final = 2
LOST: Final = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep guard",
        description="Judge what passes through an OpenClaw gateway that runs already, as one of its clients.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add_way(made)
    add(
        "--approvals",
        choices=("observe", "deny-blocked"),
        default="observe",
        help="questions whether a command may run: leave them alone, or say no to what is blocked (default: observe)",
    )
    add("--policy", metavar="FILE", help="judge by this policy (default: the built-in one)")
    add("--quarantine", metavar="DIR", help="keep what is blocked there (default: where `twinstep quarantine` looks)")
    add("--no-quarantine", action="store_true", help="keep nothing")
    add("--all", action="store_true", help="also show what is allowed")
    add(
        "--wait",
        type=seconds,
        metavar="N",
        help="seconds that a gateway that is not there is waited for (default: ever)",
    )
    add("--for", type=seconds, metavar="N", dest="lasting", help="end after so many seconds")
    add("--json", action="store_true", help="one JSON object a line")
    return made


def add_way(made: argparse.ArgumentParser) -> None:
    """Add the flags that say which gateway is meant, and what is shown there (`way`)."""
    add = made.add_argument
    add("--url", metavar="URL", help="the gateway, ws://HOST:PORT or wss://HOST:PORT (default: OPENCLAW_GATEWAY_URL)")
    add("--token", metavar="TOKEN", help="its shared secret; others on this machine can see it, --token-file not")
    add("--token-file", metavar="FILE", help="file with that (default: OPENCLAW_GATEWAY_TOKEN, or _PASSWORD)")
    add("--tls-ca", metavar="FILE", help="certificates that the gateway's is checked with (PEM)")
    add("--tls-fingerprint", metavar="HEX", help="SHA-256 of the gateway's certificate, in place of that check")


def run(argv: Sequence[str], out: Pipe) -> int:
    """Guard; return the exit code."""
    try:
        given = parser().parse_args(list(argv))
        address = address_from(given, os.environ)
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    warn(address)
    from runtime.app.guardrun import Wanted, guard

    wanted = Wanted(
        address=address,
        folder=own_folder(os.environ),
        approvals=given.approvals,
        policy=Path(given.policy) if given.policy else None,
        quarantine=None if given.no_quarantine else Path(given.quarantine or ""),
        everything=given.all,
        json=given.json,
        wait=given.wait,
        lasting=given.lasting,
    )
    return guard(wanted, os.environ, out, sys.stderr)


def warn(address: Any) -> None:
    """Say it where what is said to a gateway can be read on the way."""
    if address.open:
        text = f"twinstep: {address.url} is without TLS: what is said, the token too, can be read on the way"
        print(text, file=sys.stderr)


def address_from(given: Any, environ: Mapping[str, str]) -> Any:
    """Return the gateway's address, with what is shown there. Raises UsageError."""
    if given.quarantine and given.no_quarantine:
        raise UsageError("--quarantine and --no-quarantine exclude each other")
    return way(given, environ, own_folder(environ) / "guard-device.key")


def way(given: Any, environ: Mapping[str, str], key: Path) -> Any:
    """Return the address that the flags of `add_way` name. `key` is the file with the key of this machine's device.

    Raises UsageError.
    """
    from attrs import evolve

    from runtime.app.debugaddress import address_of

    given.url = given.url or environ.get("OPENCLAW_GATEWAY_URL", "")
    if not given.url:
        raise UsageError("--url: names the gateway, as in ws://127.0.0.1:18789 (or OPENCLAW_GATEWAY_URL)")
    if given.token is not None and given.token_file:
        raise UsageError("--token and --token-file exclude each other")
    if given.token is not None and (not given.token.isprintable() or not 0 < len(given.token) <= 4_096):
        raise UsageError("--token: must be one line of 4096 characters at most")
    address = address_of(given, environ, key)
    return address if given.token is None else evolve(address, token=given.token, password="")
