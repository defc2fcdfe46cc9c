"""What no file may say: hosts of package registries, this checkout's place on the disk, and work put off."""

import re
from pathlib import Path
from typing import Final

from tests.arch.tree import ROOT, texts

# Written in pieces, so that this file does not name what it forbids.
REGISTRIES: Final = tuple(
    "".join(pieces)
    for pieces in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("registry.", "npm", "js.org"),
        ("registry.", "yarn", "pkg.com"),
        ("conda.", "anaconda.org"),
        ("index.", "crates.io"),
    )
)
OPTIONS: Final = re.compile(r"^\s*(--(extra-)?index-url|--find-links|--trusted-host|-i\s+http)", re.MULTILINE)
PUT_OFF: Final = re.compile(r"(?<![A-Za-z_])(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")(?![A-Za-z])")


def test_no_file_names_a_package_registry() -> None:
    guilty = [f"{path}: {host}" for path, text in texts() for host in REGISTRIES if host in text]
    assert guilty == []


def test_no_file_names_the_place_of_this_checkout_or_of_a_home() -> None:
    places = [f"{place}/" for place in (ROOT, Path.home()) if len(place.parts) > 2 and place.name != "user"]
    assert [f"{path}: {place}" for path, text in texts() for place in places if place in text] == []


def test_the_constraints_name_no_index_and_pin_everything_by_hash() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert OPTIONS.search(text) is None
    assert "://" not in text
    entries = re.split(r"\n(?=[A-Za-z])", text.split("\n", 1)[1].lstrip())
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_no_code_says_that_work_was_put_off() -> None:
    coded = (".py", ".toml", ".sh", "Makefile", "/run", "/venv")
    guilty = [
        f"{path}:{number}"
        for path, text in texts()
        if path.endswith(coded)
        for number, line in enumerate(text.splitlines(), 1)
        if PUT_OFF.search(line)
    ]
    assert guilty == []
