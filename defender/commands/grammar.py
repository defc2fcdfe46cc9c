"""The parser of shell text: tree-sitter with its grammar of Bash, loaded with the first command that needs it.

A tree is bounded before anybody walks it: text over `MOST_BYTES` is cut (and never allowed).
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_BYTES: Final = 16_384
"""Bytes of one command that are read. What is longer goes to a person."""


@cache
def _parser() -> Any:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def parse(source: bytes) -> "Node":
    """Return the root of the tree of a shell text, in UTF-8."""
    root: Node = _parser().parse(source[:MOST_BYTES]).root_node
    return root
