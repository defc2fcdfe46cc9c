"""docs/reference/bundle.md against bundles that were really written, and against what the code says."""

import json
import re
from typing import Final

from attrs import fields

from debugger.bundle.archive import unpacked
from debugger.bundle.manifest import FORMAT, Manifest, Member, Redaction, Stop
from debugger.bundle.names import MOST_BYTES, MOST_MEMBERS
from debugger.bundle.secrets import MOST, SHORT
from debugger.controller import exporting
from runtime.app.secrets import KEYS, LEAST
from runtime.step.secrets import SECRET_KEYS
from tests.debugger.bundle.sessions import exported, held, talk
from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "docs" / "reference" / "bundle.md").read_text("utf-8")


def section(title: str) -> str:
    """The text below a heading up to the next."""
    return re.split("^## ", TEXT.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def names(text: str) -> list[str]:
    """The first column of the tables of a text."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_every_member_is_there_and_no_other() -> None:
    found = unpacked(exported(held(talk("x" * 20_000)).steps).data, "f").members
    assert {re.sub("[0-9a-f]{64}", "<sha256>", name) for name in found} == set(names(section("The file")))


def test_every_field_of_the_manifest_is_there_and_no_other() -> None:
    about = json.loads(unpacked(exported(held().steps).data, "f").members["manifest.json"])
    assert names(section("The manifest")) == list(about) == [one.name for one in fields(Manifest)]
    assert f"version of the format: {FORMAT}." in TEXT
    for kind in (Stop, Redaction, Member):
        for one in fields(kind):
            assert f"`{one.name}`" in section("The manifest"), one.name


def test_names_and_bounds_are_those_of_the_code() -> None:
    told = section("Redaction")
    for name in (*SECRET_KEYS, *KEYS):
        assert f"`{name}`" in told, name
    assert f"A secret of {SHORT} characters or more" in told
    assert f"from {LEAST} characters on" in told
    assert f"more than {MOST:,} different secrets" in told
    assert f"more than {MOST_BYTES >> 20} MiB, with more than {MOST_MEMBERS:,} members" in TEXT
    assert f"at most {exporting.MOST >> 20} MiB in pages" in TEXT
