"""Commands of everyday work that a request asks for in words: *run the tests*, *commit it*. Pure; rows are data.

A person who says *run the tests* says which command, though not its letters: it is one of few, it is known by what the
folder holds, and nothing of what was read can be put into it. So a row has the words that ask for it and the commands
that they mean, each as a pattern of the whole command. What a pattern leaves open is a plain path, a number, or the
text of a commit. A line is covered if each of its commands is; anything that a shell would expand is not.
"""

import re
from functools import lru_cache
from typing import Final

from attrs import frozen

from defender.taint.lexicon import BEFORE_NOUNS
from defender.taint.saying import Said

MOST: Final = 2_000
"""Characters of a line that is looked at."""
_PATH: Final = r"(?:\.|(?![-/~@:])(?!(?:[^ ]*/)?\.\.(?:/|$|[ ]))[\w./:@+-]+)"
"""A path that does not leave the folder, or a name of a test in it."""
_TEXT: Final = r"(?:'[^'\n]{1,500}'|\"[^\"$`\\!\n]{1,500}\")"
_FEW: Final = (
    r"(?: -(?:q|qq|v|vv|x|s|ra|-verbose|-quiet|-silent|-lf|-ff|-tb=\w+|-maxfail=\d+|-race|-all|-workspace|-release))*"
)
_END: Final = re.compile(r"(?: 2>&1)?(?: \| (?:tail|head)(?: -(?:n ?)?\d{1,5})?)?\Z")
"""What only shortens the output."""
_NOT: Final = re.compile(
    r"(?:\b(?:not|never|without|no|avoid|nor|cannot|skip)|n['\u2019]t)\b(?:[ \t]+[\w-]+){0,3}[ \t]*$", re.IGNORECASE
)


@frozen
class Routine:
    """`words` ask for `commands` (patterns of whole commands). `example` is a request, and `line` what it covers."""

    name: str
    words: frozenset[str]
    commands: tuple[str, ...]
    reason: str
    example: str
    line: str
    noun: bool = False
    """Its words name things as well: *the last commit* asks for nothing."""


ROUTINES: Final[tuple[Routine, ...]] = (
    Routine(
        "tests",
        frozenset("test tests testing tested pytest unittest unittests".split()),
        (
            rf"(?:python3? -m )?pytest{_FEW}(?: {_PATH})*{_FEW}",
            r"python3? -m unittest(?: discover)?(?: -v)?",
            r"(?:npm|pnpm|yarn)(?: run)? (?:test|t)(?::[\w-]+)?",
            r"make (?:test|tests|check)",
            rf"cargo test{_FEW}",
            rf"go test{_FEW} \./\.\.\.",
            r"(?:tox|nox|ctest|\./gradlew test|gradle test|mvn(?: -q)? test|dotnet test|bundle exec rspec)",
        ),
        "The runner that the folder is made for; which tests there are is what the request is about.",
        "Read the page, bring app.py up to date with it, and run the tests.",
        "python -m pytest -q tests/test_app.py 2>&1 | tail -20",
    ),
    Routine(
        "build",
        frozenset("build builds rebuild compile compiles".split()),
        (
            r"(?:npm|pnpm|yarn)(?: run)? build",
            r"make(?: (?:all|build))?",
            rf"cargo (?:build|check){_FEW}",
            rf"go build{_FEW}(?: \./\.\.\.)?",
            r"(?:\./gradlew build|gradle build|mvn(?: -q)? (?:compile|package)|dotnet build)",
        ),
        "The build that the folder is made for.",
        "Follow the guide and make it build again; build it to see.",
        "npm run build",
    ),
    Routine(
        "checks",
        frozenset("lint linter linters linting format formatter typecheck type-check types mypy ruff".split()),
        (
            r"(?:npm|pnpm|yarn)(?: run)? (?:lint|format|typecheck|type-check)",
            r"make (?:lint|check|format)",
            rf"ruff (?:check|format)(?: --check)?(?: {_PATH})*",
            rf"mypy(?: {_PATH})*",
            r"cargo (?:clippy|fmt)",
            r"go (?:vet|fmt) \./\.\.\.",
        ),
        "Checks that the folder is made for.",
        "Fix what the linter says about it, then lint again.",
        "ruff check .",
    ),
    Routine(
        "install",
        frozenset("install installs dependencies setup set-up".split()),
        (
            r"(?:npm|pnpm) (?:install|ci|i)",
            r"yarn(?: install)?",
            r"(?:python3? -m )?pip3? install(?: -q)? (?:-r (?:[\w-]+/)?requirements[\w.-]*\.txt|-e \.(?:\[[\w,]+\])?)",
            r"(?:poetry install|uv sync|bundle install|cargo fetch|go mod download)",
        ),
        "What the files of the folder ask for; no package is named.",
        "Install the dependencies as the page says.",
        "npm ci",
    ),
    Routine(
        "commit",
        frozenset("commit commits committing".split()),
        (
            r"git add (?:-A|-u|--all)",
            rf"git add(?: --)?(?: {_PATH})+",
            rf"git commit(?: -(?:q|a|-quiet|-all))*(?: (?:-m|-am|--message) {_TEXT}){{1,3}}",
        ),
        "What changed is kept in the folder's own history; nothing leaves it.",
        "Bring app.py up to date with the page and commit it.",
        "git add app.py && git commit -m 'Greet in another language'",
        noun=True,
    ),
    Routine(
        "push",
        frozenset({"push", "pushes"}),
        (r"git push",),
        "Where the folder's own settings say; no other place is named.",
        "Commit it and push.",
        "git push",
        noun=True,
    ),
)
_COMPILED: Final = {one.name: tuple(re.compile(pattern) for pattern in one.commands) for one in ROUTINES}


def covers(request: Said, line: str) -> bool:
    """Whether the words of a request ask for each command of a line."""
    line = line.strip()
    if not line or len(line) > MOST:
        return False
    pieces = re.split(r" && (?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", _END.sub("", line))
    asked = _asked(request)
    return bool(asked) and all(
        any(one.fullmatch(piece) for name in asked for one in _COMPILED[name]) for piece in pieces
    )


@lru_cache(maxsize=64)
def _asked(request: Said) -> tuple[str, ...]:
    """The names of the rows that a request asks for."""
    return tuple(one.name for one in ROUTINES if request.actions & one.words and _meant(request.unquoted, one))


def _meant(text: str, row: Routine) -> bool:
    """Whether a word of the row stands there to ask for it, and none behind *not* or *without*."""
    meant, before = False, ""
    for found in re.finditer(r"[^\W\d_]+(?:-[^\W\d_]+)*", text):
        word = found[0].lower()
        if word in row.words:
            if _NOT.search(text[max(0, found.start() - 80) : found.start()]):
                return False
            meant = meant or not (row.noun and before in BEFORE_NOUNS)
        before = word
    return meant
