"""`twinstep doctor`: what a gateway on this machine would stumble over, and taking over an OpenClaw home.

Looks and tells; it changes nothing but with `--import`, which writes into the state file and nowhere else.
"""

import argparse
import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from attrs import frozen

from runtime.app.arguments import Parser, port
from runtime.errors import AuthError, InputError, TwinstepError
from runtime.ports import Store

EPILOG: Final = """\
examples:
  twinstep doctor                                  check settings, keys, port, files, packages
  twinstep doctor --json                           the same as one JSON object
  twinstep doctor --import ~/.openclaw --state gateway.db
                                                   take over sessions and automations, and say what was left out
exit codes: 0 nothing wrong, 1 something is
"""
HELD: Final = 20
"""Sessions held for ever that are named."""
ROOM: Final = 200 << 20
"""Free bytes below which the disk is called nearly full."""


@frozen
class Finding:
    """One thing that was looked at. `level` is `ok`, `warn` or `bad`."""

    level: str
    what: str
    text: str


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep doctor",
        description="Check what a gateway on this machine needs; take over an OpenClaw home.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--import", dest="home", metavar="DIR", help="take over this OpenClaw state folder")
    made.add_argument("--state", metavar="FILE", help="state file that is checked, or written by --import")
    made.add_argument("--port", type=port, help="port that is checked (default: that of the settings)")
    return made


def run(argv: Sequence[str], out: TextIO) -> int:
    """Check, or import; return the exit code."""
    given = parser().parse_args(list(argv))
    if given.home:
        from runtime.app.importing import run as take_over

        return take_over(Path(given.home).expanduser(), given, out)
    found = [*findings(os.environ, given.state, given.port)]
    bad = sum(one.level == "bad" for one in found)
    if given.json:
        rows = [{"level": one.level, "what": one.what, "text": one.text} for one in found]
        print(json.dumps({"ok": not bad, "findings": rows}), file=out)
    else:
        colours = {"ok": "32", "warn": "33", "bad": "31"} if out.isatty() else {}
        for one in found:
            level = f"\x1b[{colours[one.level]}m{one.level:4}\x1b[0m" if colours else f"{one.level:4}"
            print(f"{level} {one.what}: {one.text}", file=out)
    return 1 if bad else 0


def findings(environ: Mapping[str, str], state: str | None = None, port: int | None = None) -> Iterator[Finding]:
    """Yield what was found, in the order in which a person would mend it."""
    from runtime.app.setup import OWN
    from runtime.app.shadows import shadowed
    from runtime.config.openclaw import Flags, gateway_port, load, start_faults, unsupported

    trouble = shadowed()
    yield Finding("bad", "packages", trouble) if trouble else Finding("ok", "packages", "none is shadowed")
    flags = Flags(port=port)
    try:
        loaded = load(environ, os.getcwd(), flags)
    except TwinstepError as exc:
        yield Finding("bad", "settings", str(exc))
        return
    places = loaded.origin.places
    if not loaded.exists:
        yield Finding("warn", "settings", f"{loaded.path} is not there; a gateway runs on defaults and flags")
    for issue in loaded.issues:
        yield Finding("bad", f"settings {issue.path or 'root'}", issue.message)
    for issue in loaded.warnings:
        yield Finding("warn", f"settings {issue.path or 'root'}", issue.message)
    config = loaded.config
    if config is not None:
        faults = start_faults(config, places, allow_unconfigured=not loaded.exists)
        for issue in faults:
            yield Finding("bad", f"settings {issue.path}", issue.message)
        if loaded.exists and not faults:
            yield Finding("ok", "settings", str(loaded.path))
        for path in unsupported(config.tree):
            yield Finding("warn", f"settings {path}", "is known and has no effect here yet")
        yield _key(config)
        yield _tls(config, places.state)
        yield _defender(config, places, environ)
        yield _port(gateway_port(places, flags, config.gateway.port), tls=config.gateway.tls.enabled)
    yield from _modes(loaded.path, places.state)
    yield from _state(Path(state) if state else places.state / "state" / OWN)


def _key(config: Any) -> Finding:
    from runtime.config.openclaw import google_provider

    try:
        model = google_provider(config)
    except (AuthError, InputError) as exc:
        return Finding("bad", "model", str(exc))
    return Finding("ok", "model", f"{model.ref} at {model.host}, with a key")


def _tls(config: Any, folder: Path) -> Finding:
    from runtime.app.setup import tls_of
    from runtime.gateway.certificates import is_made
    from runtime.gateway.listener import tls_context

    pair = tls_of(config.gateway.tls, folder)
    if pair is None:
        return Finding("ok", "tls", "off")
    try:
        if is_made(pair):
            return Finding("ok", "tls", f"the next start makes the certificate {pair.certificate}")
        tls_context(pair.certificate, pair.key)
    except InputError as exc:
        return Finding("bad", "tls", f"gateway.tls: {exc}")
    return Finding("ok", "tls", "the certificate can be used")


def _defender(config: Any, places: Any, environ: Mapping[str, str]) -> Finding:
    from runtime.app.defending import defending

    try:
        made = defending(None, config.get("defender"), places.state, "defender", environ, places.home)
        made.check()
    except TwinstepError as exc:
        return Finding("bad", "defender", str(exc))
    if made.mode != "enforce":
        return Finding("warn", "defender", f"its mode is {made.mode}: it holds nothing up")
    policy = made.book.current
    signed = f", signed by {made.book.signer}" if made.book.signer else ""
    return Finding("ok", "defender", f"enforces the policy {policy.name}, serial {policy.serial}{signed}")


def _port(port: int, *, tls: bool) -> Finding:
    from runtime.app.status import ask, held

    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            probe.connect(("127.0.0.1", port))
        except OSError:
            return Finding("ok", "port", f"{port} is free")
    told = ask(port, tls=tls)
    if "uptimeMs" not in told:
        return Finding("bad", "port", f"{port} is taken, and no gateway answers there; choose another with --port")
    how = "is ready" if told["ready"] else f"is not ready: {'; '.join(told['failing'])}"
    return Finding("ok", "port", f"a gateway runs on {port} and {how}{held(told)}")


def _modes(config: Path, folder: Path) -> Iterator[Finding]:
    for path in (config, folder):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            yield Finding("warn", "files", f"{path} can be read by others (mode {mode:04o}); chmod go-rwx {path}")
        else:
            yield Finding("ok", "files", f"{path} is private")


def _state(path: Path) -> Iterator[Finding]:
    from debugger.controller.keeping import held
    from runtime.stores import open_store

    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        yield Finding("bad", "disk", f"{folder} has {free >> 20} MB left")
    else:
        yield Finding("ok", "disk", f"{folder} has {free >> 30} GB left")
    if not path.exists():
        yield Finding("ok", "state", f"{path} will be made")
        return
    try:
        store = open_store(path, readonly=True)
        kept, forever = store.sessions(), [one for one in held(store) if one.until is None]
    except TwinstepError as exc:
        yield Finding("bad", "state", str(exc))
        return
    yield Finding("ok", "state", f"{path}: {len(kept)} sessions")
    for one in forever[:HELD]:
        how = f"`twinstep attach {one.session} -x 'detach --resume'` lets it go on"
        yield Finding("warn", "held", f"session {one.session} is held for {one.user} for ever; {how}")
    if len(forever) > HELD:
        yield Finding("warn", "held", f"{len(forever) - HELD} more sessions are held for ever; `twinstep attach` lists")
    yield _audit(store)


def _audit(store: Store) -> Finding:
    """Follow the whole chain of the debugger's audit; a gateway looks at its end only."""
    import trio

    from debugger.audit import verified

    try:
        report = trio.run(verified, store)
    except TwinstepError as exc:
        return Finding("bad", "audit", str(exc))
    if report.faults:
        more = f", and {len(report.faults) - 1} more" if len(report.faults) > 1 else ""
        return Finding("bad", "audit", f"the debugger's audit is broken: {report.faults[0]}{more}")
    head = report.head
    return Finding("ok", "audit", f"the chain of {head.number} entries is whole; its head is {head.hash}")
