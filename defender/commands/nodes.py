"""Looks at single nodes of a tree: their text, where comments begin, what a here-document holds."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_LOOKED: Final = 6_000
"""Nodes that are looked at for comments."""


def text_of(node: "Node") -> str:
    """Return the text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def here_document(node: "Node") -> tuple[str, bool, bool]:
    """Return the body of a here-document, whether its delimiter is quoted, and whether it is clear where it ends."""
    body, start, quoted, ended = "", "", False, False
    for child in node.children:
        if child.type == "heredoc_start":
            start = text_of(child)
            quoted = any(sign in start for sign in "'\"\\")
            start = re.sub(r"['\"\\]", "", start)
        elif child.type == "heredoc_end":
            ended = text_of(child).strip() == start
        elif child.type == "heredoc_body":
            body = text_of(child)
    if any(child.type == "<<-" for child in node.children):
        body = "\n".join(line.lstrip("\t") for line in body.split("\n"))
    return body, quoted, ended and start not in body.split("\n")[:-1]


def comments_agree(root: "Node", source: bytes) -> bool:
    """Whether each comment begins where a shell begins one: behind a blank or an operator."""
    waiting = [root]
    for _ in range(MOST_LOOKED):
        if not waiting:
            return True
        node = waiting.pop()
        if node.type == "comment":
            before = source[node.start_byte - 1 : node.start_byte] if node.start_byte else b" "
            if before not in b" \t\n;&|()":
                return False
        waiting += node.named_children
    return False
