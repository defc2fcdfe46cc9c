"""News fragments: named as CONTRIBUTING says, so that none is left out of the changelog without a word."""

import re
import tomllib

from tests.arch.tree import ROOT, files

FOLDER = ROOT / "newsfragments"


def test_every_fragment_has_a_name_and_a_known_type() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    types = "|".join(kind["directory"] for kind in config["type"])
    form = re.compile(rf"(\+[a-z0-9-]+|[0-9]+)\.({types})\.md")
    names = [path.name for path in files() if path.parent == FOLDER and path.name != "README.md"]
    assert [name for name in names if not form.fullmatch(name)] == []


def test_every_fragment_says_something() -> None:
    assert [path.name for path in files() if path.parent == FOLDER and not path.read_text().strip()] == []


def test_the_changelog_has_the_line_below_which_releases_go() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    assert config["start_string"] in (ROOT / "CHANGELOG.md").read_text()
