"""Markdown pages as data: their fenced blocks, links and headings. Knows as much of Markdown as these pages use."""

import re
from pathlib import Path
from typing import Final

from attrs import field, frozen

ROOT: Final = Path(__file__).resolve().parents[2]
FENCE: Final = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
LINK: Final = re.compile(
    r"(?<!!)\[[^\]\[]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)"
)
HEADING: Final = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")


@frozen
class Block:
    """One fenced block: the words after the fence, the first line's number in the page, and the lines."""

    words: tuple[str, ...]
    line: int
    lines: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether the page asks for this block to be run: ```console run."""
        return self.words[:1] in (("console",), ("sh",)) and "run" in self.words[1:]

    @property
    def stays(self) -> bool:
        """Whether its command is started and goes on until the end of the page: ```console run background port=1234."""
        return self.runs and "background" in self.words[1:]

    def option(self, name: str) -> str | None:
        """The value of `name=value` after the fence, or None."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


@frozen
class Command:
    """One command of a console block with what it should print. `...` stands for anything."""

    text: str
    line: int
    expected: tuple[str, ...]


@frozen
class Page:
    """One page: where it is, its blocks, and its prose (the lines that stand outside blocks)."""

    path: Path
    blocks: tuple[Block, ...] = field(repr=False)
    prose: tuple[tuple[int, str], ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The path from the project's root."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def anchors(self) -> frozenset[str]:
        """What a link into this page may name after `#`."""
        return frozenset(slug(found["text"]) for _, line in self.prose if (found := HEADING.match(line)))

    @property
    def links(self) -> tuple[tuple[int, str], ...]:
        """The targets of all links and images, each with its line."""
        plain = ((number, re.sub(r"`[^`]*`", "``", line)) for number, line in self.prose)
        return tuple(
            (number, found["target"] or found["image"]) for number, line in plain for found in LINK.finditer(line)
        )


def slug(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def read(path: Path) -> Page:
    """Take a page apart."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            prose.append((number, line))
            continue
        inside: list[str] = []
        for _, inner in lines:
            if inner.rstrip() == opening["fence"]:
                break
            inside.append(inner)
        blocks.append(Block(tuple(opening["info"].split()), number + 1, tuple(inside)))
    return Page(path, tuple(blocks), tuple(prose))


def commands(block: Block) -> tuple[Command, ...]:
    """The commands of a block: `$ ` begins one, `> ` continues it, other lines are what it prints.

    A block that begins with no `$ ` is one script, and what it prints is free.
    """
    if not block.lines or not block.lines[0].startswith("$ "):
        return (Command("\n".join(block.lines), block.line, ("...",)),)
    found: list[Command] = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            found.append(Command(line[2:], number, ()))
            continue
        last = found.pop()
        if line.startswith("> ") and not last.expected:
            found.append(Command(f"{last.text}\n{line[2:]}", last.line, ()))
        else:
            found.append(Command(last.text, last.line, (*last.expected, line)))
    return tuple(found)


def fits(expected: tuple[str, ...], printed: str) -> bool:
    """Whether a command printed what the page says. `...` inside a line is any text, alone on a line any lines."""
    parts = ["(?:.*\n)*?" if line.strip() == "..." else in_line(line) for line in expected]
    tidy = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    return re.fullmatch("".join(parts), tidy) is not None


def in_line(line: str) -> str:
    """One expected line as a pattern."""
    return ".*".join(re.escape(piece) for piece in line.rstrip().split("...")) + "\n"


def pages() -> list[Page]:
    """The pages at the top, and all below docs/ and newsfragments/."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "newsfragments").glob("*.md")]
    return [read(path) for path in sorted(paths)]
