"""`twinstep status`: asks the gateway on this machine how it is. Starts nothing and changes nothing."""

import argparse
import json
import os
import ssl
from collections.abc import Sequence
from typing import Any, Final, TextIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from runtime.app.arguments import Parser, port

SECONDS: Final = 5.0
EPILOG: Final = """\
examples:
  twinstep status                     is the gateway of this machine ready?
  twinstep status --port 18790 --json
exit codes: 0 ready, 1 not ready or not there
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep status",
        description="Ask the gateway on this machine how it is.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--port", type=port, help="port (default: that of the settings)")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def run(argv: Sequence[str], out: TextIO) -> int:
    """Ask and print; return the exit code."""
    given = parser().parse_args(list(argv))
    from runtime.config.openclaw import Flags, gateway_port, load

    flags = Flags(port=given.port)
    loaded = load(os.environ, os.getcwd(), flags)
    gateway = loaded.config.gateway if loaded.config is not None else None
    port = gateway_port(loaded.origin.places, flags, gateway.port if gateway is not None else None)
    told = ask(port, tls=gateway is not None and gateway.tls.enabled)
    if given.json:
        print(json.dumps({"port": port, **told}), file=out)
    elif told["ready"]:
        print(f"ready on port {port}, up {int(told.get('uptimeMs', 0)) // 1000} s{held(told)}", file=out)
    else:
        print(f"not ready on port {port}: {'; '.join(told['failing'])}", file=out)
    return 0 if told["ready"] else 1


def held(told: dict[str, Any]) -> str:
    """Return how many sessions stand still, if any do."""
    counts = told.get("debugger") or {}
    count, forever = int(counts.get("held", 0)), int(counts.get("forever", 0))
    more = f" ({forever} of them for ever)" if forever else ""
    return f", {count} session{'s' if count > 1 else ''} held by a debugger{more}" if count else ""


def ask(port: int, *, tls: bool = False) -> dict[str, Any]:
    """Return what `/ready` says, or why nothing does. With TLS the certificate is of a name, and this asks by address:
    it is not checked, nothing secret is sent, and the answer comes from this machine."""
    scheme, context = "http", None
    if tls:
        scheme, context = "https", ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urlopen(f"{scheme}://127.0.0.1:{port}/ready", timeout=SECONDS, context=context) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except HTTPError as exc:
        try:
            found = json.load(exc)
        except ValueError:
            found = {}
        return {"ready": False, "failing": [f"HTTP {exc.code}"], **found}
    except (URLError, OSError, ValueError) as exc:
        return {"ready": False, "failing": [f"nothing answers ({getattr(exc, 'reason', exc)})"]}
