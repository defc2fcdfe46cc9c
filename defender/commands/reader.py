"""Reads a shell text: walks the tree, works out each simple command, and hands it to the rules. Runs nothing.

Every command that stands anywhere is read: in substitutions, functions, traps, here-documents that go to a shell,
arguments of wrappers. What it would print is followed as far as it is constant. Bounded by commands, depth and nested
texts; over a bound the text counts as not understood, which is never an allow.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from defender.commands import judge
from defender.commands.calls import Call, Redirect
from defender.commands.grammar import MOST_BYTES, parse
from defender.commands.marks import NETWORK, SECRET, UNKNOWN, marked, tags, without
from defender.commands.nodes import comments_agree, here_document, text_of
from defender.commands.places import SECRETS
from defender.commands.salvage import NO_SECOND, dollars, heads, split
from defender.commands.scope import Scope
from defender.commands.words import Expansion
from defender.findings import Signal
from runtime.vocab import Decision

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_CALLS: Final = 300
"""Simple commands that are read of one text."""
MOST_FOREIGN: Final = 10
"""Simple commands that are read of a long text for another kind of shell, which is never allowed."""
MOST_BROKEN: Final = 24
"""Simple commands of the tree from which on a text that cannot be parsed is not also split by hand."""
MOST_TEXTS: Final = 60
"""Nested texts (substitutions, `sh -c`, `eval`) that are read of one command."""
DEEPEST: Final = 10
"""How deep nested texts may stand in each other."""
MOST_NODES: Final = 6_000
"""Statements that are walked, loops and functions counted as often as they are read."""
_LOOP: Final = 4
_DEFINED: Final = 8
_CONTAINERS: Final = frozenset("program compound_statement do_group ERROR".split())
_MAYBE: Final = frozenset("if_statement elif_clause else_clause while_statement case_statement case_item".split())
_RESERVED: Final = frozenset(
    "{ } ! then do done fi esac if while until for case function select else elif in [[ ]]".split()
)
_WORDS: Final = frozenset(
    "word string raw_string ansi_c_string concatenation simple_expansion expansion command_substitution number"
    " process_substitution arithmetic_expansion brace_expression translated_string extglob_pattern regex"
    " test_operator".split()
)


class Reader:
    """Reads one text and keeps what was found. Use it once."""

    def __init__(self) -> None:
        self.scope = Scope()
        self.calls: list[Call] = []
        self.signals: list[Signal] = []
        self.depth = 0
        self.how = ""
        self.texts = 0
        self.nodes = 0
        self.full = False
        self.heads: list[str] = []
        self.foreign = False
        """Whether the text is a long one for another kind of shell: then only its beginning is read."""
        self.most_calls = MOST_CALLS
        self.words = Expansion(self)

    def unresolved(self, why: str, rule: str = "command.unresolved", reason: str = "", risk: float = 0.55) -> None:
        """Note what could not be worked out: the whole is then never allowed."""
        if len(self.signals) < 40:
            self.signals.append(
                Signal(rule, risk, reason or "A part of the command cannot be worked out.", why, Decision.REVIEW)
            )

    def block(self, rule: str, reason: str, evidence: str, risk: float = 0.97) -> None:
        """Note what may never run."""
        self.signals.append(Signal(rule, risk, reason, evidence, Decision.BLOCK))

    def over(self, what: str) -> None:
        """Note that a bound was reached."""
        if not self.full:
            self.full = True
            self.unresolved(what, "command.too-much", "The command is larger or deeper than what is read of one.", 0.7)

    def capture(self, text: str, how: str) -> str:
        """Read a nested command and return what it would print, without the newlines at its end."""
        kept = self.scope.kept()
        try:
            return self.read(text, how).rstrip("\n")
        finally:
            self.scope.back(kept)

    def read(self, text: str, how: str = "", stdin: str | None = None) -> str:
        """Read a text as a shell would, and return what it would print."""
        if not text.strip():
            return ""
        if marked(text):
            self.unresolved(text, "command.unresolved-text", "What a shell is told to run is not known in full.", 0.68)
            if not without(text).strip():
                return tags(text)
        if self.foreign and not self.texts:
            self.most_calls = MOST_FOREIGN
        self.texts += 1
        if self.depth >= DEEPEST or self.texts > MOST_TEXTS:
            self.over(text)
            return UNKNOWN
        if "`" in text:
            if text.count("`") > 2 and ("#" in text or "<<" in text):
                self.unresolved(text, "command.backticks", "It is not clear where the backticks begin and end.", 0.6)
            text = dollars(text)
        source = text.encode("utf-8", "replace")
        if len(source) > MOST_BYTES:
            self.over(text)
        outer, self.how = self.how, how or self.how
        self.depth += 1
        try:
            root = parse(source)
            if "#" in text and not comments_agree(root, source):
                self.unresolved(text, "command.odd-comment", "It is not clear where a comment begins.", 0.7)
            if root.has_error:
                return self._broken(root, text, stdin)
            return self.statement(root, stdin)
        finally:
            self.depth -= 1
            self.how = outer

    def _broken(self, root: "Node", text: str, stdin: str | None) -> str:
        """Read what the grammar does not take: its parts by the tree, and once more by a plain splitting."""
        self.unresolved(text, "command.unparsed", "The command cannot be parsed as shell text.", 0.62)
        self.statement(root, stdin)
        out = ""
        for words, piped in split(text[:MOST_BYTES]) if len(self.calls) < min(MOST_BROKEN, self.most_calls) else ():
            fields = [field for word in words for field in self.words.fields(word)]
            if fields:
                out = self.simple(Call(fields, stdin=out if piped else stdin, piped=piped))
        return out or UNKNOWN

    def agrees(self, text: str) -> bool:
        """Whether a plain splitting of the text finds the same programs: a second opinion on the tree.

        Asked only where the text would be allowed. Text with compound commands has no second opinion.
        """
        return NO_SECOND.search(text) is not None or heads(dollars(text)) == sorted(self.heads)

    def statement(self, node: "Node", stdin: str | None) -> str:
        """Read one statement; return what it prints."""
        self.nodes += 1
        if self.nodes > MOST_NODES or len(self.calls) > self.most_calls:
            self.over("")
            return UNKNOWN
        kind = node.type
        if kind == "command":
            return self._command(node, (), stdin)
        if kind in _CONTAINERS:
            return self._all(node, stdin)
        if kind in _MAYBE:
            return self._doubted(node, stdin)
        one = _STATEMENTS.get(kind)
        if one is not None:
            return one(self, node, stdin)
        if kind in _WORDS:
            self.words.fields(text_of(node))
        elif node.is_named and kind not in {"comment", "heredoc_body", "heredoc_end", "heredoc_start"}:
            return self._all(node, stdin)
        return ""

    def _all(self, node: "Node", stdin: str | None) -> str:
        if node.child_count == 1:
            return self.statement(node.children[0], stdin)
        out: list[str] = []
        children = node.children
        for at, child in enumerate(children):
            if not child.is_named:
                continue
            if at + 1 < len(children) and children[at + 1].type == "&":
                out.append(self._apart(child, stdin))
            else:
                out.append(self.statement(child, stdin))
        return "".join(out)

    def _apart(self, node: "Node", stdin: str | None) -> str:
        """Read a statement whose shell is another one: what it sets is gone behind it."""
        kept = self.scope.kept()
        try:
            return self.statement(node, stdin)
        finally:
            self.scope.back(kept)

    def _subshell(self, node: "Node", stdin: str | None) -> str:
        kept = self.scope.kept()
        try:
            return self._all(node, stdin)
        finally:
            self.scope.back(kept)

    def _doubted(self, node: "Node", stdin: str | None) -> str:
        """Read statements of which nobody knows whether they come to run."""
        self.scope.maybe += 1
        try:
            return self._all(node, stdin)
        finally:
            self.scope.maybe -= 1

    def _list(self, node: "Node", stdin: str | None) -> str:
        """Read `a && b`: whether b comes to run is not known."""
        parts = node.named_children
        out = [self.statement(parts[0], stdin)] if parts else []
        self.scope.maybe += 1
        try:
            out += [self.statement(child, stdin) for child in parts[1:]]
        finally:
            self.scope.maybe -= 1
        return "".join(out)

    def _pipeline(self, node: "Node", stdin: str | None) -> str:
        parts = node.named_children
        text = stdin
        for at, child in enumerate(parts):
            if child.type == "comment":
                continue
            if child.type == "command":
                text = self._command(child, (), text, piped=at > 0 or len(parts) > 1)
            else:
                text = self._apart(child, text)
        return text or ""

    def _command(
        self,
        node: "Node",
        redirects: Sequence["Node"],
        stdin: str | None,
        piped: bool = False,
        more: Sequence[str] = (),
    ) -> str:
        fields: list[str] = []
        assigned: list[tuple[str, str]] = []
        found = list(redirects)
        raw, end, first = "", -1, True
        for child in node.children:
            kind = child.type
            if first and kind == "command_name":
                first = False
                if self.depth == 1:
                    self.heads.append(text_of(child))
            if kind == "command_name" or kind in _WORDS or kind == "$":
                if raw and child.start_byte != end:
                    fields += [raw] if raw.isalnum() else self.words.fields(raw)
                    raw = ""
                raw += text_of(child)
                end = child.end_byte
            elif kind == "variable_assignment":
                assigned.append(self._assignment(child, keep=False))
            elif kind.endswith("_redirect"):
                found.append(child)
            elif kind in {"(", ")", "subshell"}:
                self.unresolved(text_of(node))
                self.statement(child, stdin)
            elif kind == "ERROR":
                self.statement(child, stdin)
            else:
                fields += self.words.fields(text_of(child))
        fields += ([raw] if raw.isalnum() else self.words.fields(raw)) if raw else []
        fields += more
        moved, stdin = self._redirects(found, stdin, fields)
        return self.simple(Call(fields, stdin=stdin, assigned=assigned, redirects=moved, piped=piped))

    def _redirects(
        self, nodes: Sequence["Node"], stdin: str | None, fields: list[str]
    ) -> tuple[list[Redirect], str | None]:
        done: list[Redirect] = []
        for node in nodes:
            if node.type == "heredoc_redirect":
                stdin = self._here(node)
            elif node.type == "herestring_redirect":
                words = [self.words.text(text_of(child)) for child in node.named_children]
                stdin = (words[0] if words else "") + "\n"
            else:
                descriptor, sign = "", ""
                targets: list[str] = []
                for child in node.children:
                    if child.type == "file_descriptor":
                        descriptor = text_of(child)
                    elif child.type in _WORDS:
                        targets += self.words.fields(text_of(child)) if targets else [self.words.text(text_of(child))]
                    elif child.type == "ERROR":
                        sign += text_of(child).strip()
                    elif not child.is_named:
                        sign += child.type
                fields += targets[1:]
                move = Redirect(sign, descriptor, targets[0] if targets else "")
                done.append(move)
                if sign.startswith("<") and sign != "<&" and descriptor in {"", "0"}:
                    stdin = self.content(move.target)
                elif sign == "<&" and move.target in self.scope.values.get("<&", ()):
                    stdin = NETWORK
                if "/dev/tcp/" in move.target or "/dev/udp/" in move.target:
                    opened = self.scope.values.setdefault("<&", {})
                    if isinstance(opened, dict):
                        opened[descriptor or "0"] = ""
        return done, stdin

    def _here(self, node: "Node") -> str:
        body, quoted, clear = here_document(node)
        if not clear:
            text = text_of(node)
            self.unresolved(text, "command.here-document", "It is not clear where the here-document ends.", 0.7)
        return body if quoted else self.words.here(body)

    def _redirected(self, node: "Node", stdin: str | None) -> str:
        body: Node | None = None
        moves: list[Node] = []
        for child in node.named_children:
            if child.type.endswith("_redirect"):
                moves.append(child)
            elif child.type != "comment":
                body = child
        heres = [move for move in moves if move.type == "heredoc_redirect"]
        extra: list[str] = []
        follow: list[Node] = []
        for here in heres:
            for child in here.named_children:
                if child.type in _WORDS:
                    extra += self.words.fields(text_of(child))
                elif child.type.endswith("_redirect"):
                    moves.append(child)
                elif child.type not in {"heredoc_start", "heredoc_body", "heredoc_end", "file_descriptor", "comment"}:
                    follow.append(child)
        if body is None or body.type == "command":
            if body is None:
                done, stdin = self._redirects(moves, stdin, extra)
                out = self.simple(Call(extra, stdin=stdin, redirects=done))
            else:
                out = self._command(body, moves, stdin, more=extra, piped=bool(follow))
        else:
            done, stdin = self._redirects(moves, stdin, extra)
            before = len(self.calls)
            if body.type == "pipeline" and done and body.named_children and body.named_children[-1].type == "command":
                out = self._pipeline(body, stdin)
            else:
                out = self.statement(body, stdin)
            parts = self.calls[before:] if body.type == "pipeline" else ()
            out = self._moved(Call([], redirects=done, stdin=stdin, parts=parts), out)
        for child in follow:
            out = self._pipeline(child, out) if child.type == "pipeline" else out + self.statement(child, stdin)
        return out

    def _assigned(self, node: "Node", stdin: str | None) -> str:
        pairs = [
            self._assignment(child, keep=True)
            for child in (node.named_children if node.type == "variable_assignments" else [node])
            if child.type == "variable_assignment"
        ]
        judge.assigned(self, Call([], assigned=pairs, depth=self.depth, how=self.how))
        return ""

    def _assignment(self, node: "Node", *, keep: bool) -> tuple[str, str]:
        text = text_of(node)
        name, _, value = text.partition("=")
        append = name.endswith("+")
        name = name.removesuffix("+")
        if "[" in name and ("$" in name or "`" in name):
            name = self.words.here(name)
        inner = node.named_children[-1] if node.named_children else None
        if inner is not None and inner.type == "array":
            items = [field for child in inner.named_children for field in self.words.fields(text_of(child))]
            if keep:
                self.scope.set(name, {str(at): item for at, item in enumerate(items)}, append=append)
            return name, " ".join(items)
        got = self.words.text(value)
        if keep:
            self.scope.set(name, got, append=append)
        return name, got

    def _declared(self, node: "Node", stdin: str | None) -> str:
        words: list[str] = []
        pairs: list[tuple[str, str]] = []
        letters = ""
        for child in node.children:
            if child.type == "variable_assignment":
                pairs.append(self._assignment(child, keep="n" not in letters))
            elif child.type in _WORDS or child.type == "variable_name":
                for field in self.words.fields(text_of(child)):
                    words.append(field)
                    if field.startswith("-"):
                        letters += field[1:]
        if "n" in letters:
            self.scope.references.update(pairs)
        kind = node.children[0].type if node.children else "declare"
        if self.depth == 1:
            self.heads.append(kind)
        if kind == "readonly" or "r" in letters:
            self.scope.fixed.update(name for name, _ in pairs)
        return self.simple(Call([kind, *words], assigned=pairs, stdin=stdin))

    def _unset(self, node: "Node", stdin: str | None) -> str:
        names = [text_of(child) for child in node.named_children]
        if self.depth == 1:
            self.heads.append("unset")
        for name in names:
            self.scope.values.pop(name, None)
            self.scope.functions.pop(name, None)
        return self.simple(Call(["unset", *names], stdin=stdin))

    def _test(self, node: "Node", stdin: str | None) -> str:
        text = text_of(node)
        if self.depth == 1:
            self.heads.append("[")
        if "$(" in text or "`" in text or "<(" in text:
            self.words.here(text.replace("'", " "))
        return self.simple(Call(["test"], stdin=stdin))

    def _defined(self, node: "Node", stdin: str | None) -> str:
        parts = node.named_children
        if len(parts) < 2:
            return ""
        name = text_of(parts[0])
        body = parts[-1]
        self.scope.functions[name] = (body, b"")
        found = text_of(body)
        if name in found and ("|" in found or "&" in found) and judge.calls_itself(name, found):
            self.block("command.fork-bomb", "A function that starts itself again and again fills the machine.", found)
            return ""
        kept, calling = self.scope.kept(), self.scope.calling
        if len(calling) > _DEFINED:
            self.over(name)
            return ""
        outer, self.how = self.how, f"{name}()"
        self.scope.calling = (*calling, name)
        self.scope.maybe += 1
        self.depth += 1
        self.statement(body, stdin)
        self.depth -= 1
        self.scope.maybe -= 1
        self.scope.calling, self.how = calling, outer
        self.scope.back(kept)
        return ""

    def _called(self, name: str, args: Sequence[str], stdin: str | None) -> str:
        if name in self.scope.calling or len(self.scope.calling) > _LOOP:
            return UNKNOWN
        body, _ = self.scope.functions[name]
        kept = self.scope.values.get("@")
        calling = self.scope.calling
        self.scope.calling = (*calling, name)
        numbers = {str(at + 1): arg for at, arg in enumerate(args)}
        if args:
            self.scope.values["@"] = dict(numbers)
            for key, arg in numbers.items():
                self.scope.values[key] = arg
        outer, self.how = self.how, f"{name}()"
        self.depth += 1
        try:
            return self.statement(body, stdin)
        finally:
            self.depth -= 1
            self.how = outer
            self.scope.calling = calling
            for key in numbers:
                self.scope.values.pop(key, None)
            if kept is None:
                self.scope.values.pop("@", None)
            else:
                self.scope.values["@"] = kept

    def _for(self, node: "Node", stdin: str | None) -> str:
        name, items, body = "", [], None
        for child in node.named_children:
            if child.type == "variable_name" and not name:
                name = text_of(child)
            elif child.type in {"do_group", "compound_statement"}:
                body = child
            elif child.type in _WORDS:
                items += self.words.fields(text_of(child))
        if body is None:
            return ""
        out = ""
        for item in items[:_LOOP] or [UNKNOWN]:
            self._loop(name, item)
            out += self.statement(body, stdin)
        if len(items) > _LOOP:
            self._loop(name, UNKNOWN + "".join(tags(item) for item in items))
            out += self.statement(body, stdin)
        return out

    def _loop(self, name: str, item: str) -> None:
        maybe, self.scope.maybe = self.scope.maybe, 0
        self.scope.set(name, item)
        self.scope.maybe = maybe

    def _arithmetic_for(self, node: "Node", stdin: str | None) -> str:
        for child in node.named_children:
            if child.type in {"do_group", "compound_statement"}:
                for name in ("i", "j", "k", "n"):
                    self.scope.values.pop(name, None)
                return self.statement(child, stdin)
            text = text_of(child)
            if "$(" in text or "`" in text:
                self.words.arithmetic(text)
        return ""

    def _negated(self, node: "Node", stdin: str | None) -> str:
        return self._all(node, stdin)

    def _heredoc_alone(self, node: "Node", stdin: str | None) -> str:
        fields: list[str] = []
        done, stdin = self._redirects([node], stdin, fields)
        return self.simple(Call(fields, stdin=stdin, redirects=done))

    def content(self, path: str) -> str:
        """Return what a file holds, as far as it is known."""
        if "/dev/tcp/" in path or "/dev/udp/" in path:
            return NETWORK
        where = self.scope.path(path)
        known = self.scope.files.get(where)
        if known is not None:
            return known
        return SECRET + UNKNOWN if SECRETS.search(where) else UNKNOWN

    def simple(self, call: Call) -> str:
        """Read one simple command; return what it prints into the next, after its redirections."""
        call.depth, call.how = self.depth, self.how
        if len(self.calls) > self.most_calls:
            self.over(call.line)
            return UNKNOWN
        argv = call.argv
        if not argv:
            self.calls.append(call)
            judge.bare(self, call)
            return self._moved(call, "")
        if argv[0] in _RESERVED:
            self.unresolved(
                call.line, "command.odd-keyword", "A word of the grammar stands where a program is expected.", 0.6
            )
            rest = list(argv)
            while rest and rest[0] in _RESERVED:
                rest.pop(0)
            call.argv = rest
            call.forget()
            return self.simple(call) if rest else ""
        name = argv[0]
        alias = self.scope.aliases.get(name) if self.scope.aliases else None
        if alias is not None and f"alias {name}" not in self.scope.calling:
            self.scope.calling = (*self.scope.calling, f"alias {name}")
            self.read(" ".join([alias, *argv[1:]]), f"alias {name}", call.stdin)
            self.scope.calling = self.scope.calling[:-1]
        if name in self.scope.functions and name not in self.scope.calling:
            out = self._called(name, argv[1:], call.stdin)
            if not judge.known(name):
                return self._moved(call, out)
        self.calls.append(call)
        return self._moved(call, judge.consider(self, call))

    def nested(self, outer: Call, argv: Sequence[str], how: str, stdin: str | None = None) -> str:
        """Read the command that another one calls with these words."""
        if not argv:
            return ""
        if self.depth >= DEEPEST:
            self.over(" ".join(argv))
            return UNKNOWN
        before, self.how = self.how, how
        self.depth += 1
        try:
            return self.simple(Call(list(argv), stdin=outer.stdin if stdin is None else stdin, piped=outer.piped))
        finally:
            self.depth -= 1
            self.how = before

    def _moved(self, call: Call, out: str) -> str:
        """Write what is printed where it goes."""
        gone = False
        for move in call.redirects:
            if move.writes:
                self.scope.write(move.target, out, append=move.sign == ">>")
                gone = gone or move.descriptor in {"", "1"}
        if call.redirects:
            judge.redirected(self, call, out)
        return "" if gone else out


_Statement = Callable[[Reader, "Node", str | None], str]
_STATEMENTS: Final[dict[str, _Statement]] = {
    "pipeline": Reader._pipeline,
    "list": Reader._list,
    "subshell": Reader._subshell,
    "redirected_statement": Reader._redirected,
    "variable_assignment": Reader._assigned,
    "variable_assignments": Reader._assigned,
    "declaration_command": Reader._declared,
    "unset_command": Reader._unset,
    "test_command": Reader._test,
    "function_definition": Reader._defined,
    "for_statement": Reader._for,
    "c_style_for_statement": Reader._arithmetic_for,
    "negated_command": Reader._negated,
    "file_redirect": Reader._heredoc_alone,
    "heredoc_redirect": Reader._heredoc_alone,
    "herestring_redirect": Reader._heredoc_alone,
}
