"""Writes what `export` and `test` ask for: fetches the bundle of a session, and puts it or a test of it into a file."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from debugger.bundle.fetching import fetched, path_of_bundle, path_of_test, save, save_test
from debugger.repl.screen import Screen

Query = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def export(query: Query, screen: Screen, given: Mapping[str, Any]) -> None:
    """Write a bundle. Raises TwinstepError."""
    path = path_of_bundle(given["file"])
    bundle = await save(await fetched(query, given["session"], redact=given["redact"]), path)
    about = bundle.manifest
    value = {"file": str(path), "session": about.session, "records": about.records, "digest": about.digest}
    text = f"{path}: {about.records} records, {about.redaction.line}; `twinstep replay {path}` replays it"
    screen.told("export", value | {"redacted": about.redaction.done}, [text])


async def test(query: Query, screen: Screen, given: Mapping[str, Any]) -> None:
    """Write a test of where the session stands. Raises TwinstepError."""
    path = path_of_test(given["file"])
    record = await save_test(await fetched(query, given["session"], redact=True), path, given["record"])
    screen.told(
        "test", {"file": str(path), "record": record}, [f"{path}: reproduces record {record}; run it with pytest"]
    )
