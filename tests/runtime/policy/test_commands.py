"""What a command starts, as far as that is certain; and that nothing uncertain is read."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.commands import analysis, parts

PLAIN = [
    ("uname -a", ["uname"]),
    ("uname && ls", ["uname", "ls"]),
    ("a || b; c | d", ["a", "b", "c", "d"]),
    ("a\n\nb\n", ["a", "b"]),
    ("a;", ["a"]),
    ("a |\nb", ["a", "b"]),
    ("echo 'a;b' \"c && d\" e\\;f", ["echo"]),
    ("/usr/bin/env", ["/usr/bin/env"]),
    ("[ -f x ]", ["["]),
]
UNCERTAIN = [
    "",
    "  ",
    "a > b",
    "a 2>&1",
    "a < b",
    "a &",
    "a & b",
    "(a)",
    "{ a; }",
    "a $(b)",
    "a `b`",
    "a $HOME",
    'a "$HOME"',
    "a $'\\n'",
    "a {b,c}",
    "a <<E\nE",
    "a # b",
    "# b",
    "a 'b",
    'a "b',
    "a \\",
    "a |",
    "a &&",
    "| a",
    "; a",
    "a ;; b",
    "a && && b",
    "a | | b",
    "! a",
    "if a; then b; fi",
    "for a in b; do c; done",
    "coproc a",
    "A=1",
    "a\r\nb",
    "a\x00b",
    "a\x1b[A",
]


@pytest.mark.parametrize(("command", "programs"), PLAIN)
def test_plain_commands_are_read(command: str, programs: list[str]) -> None:
    found = parts(command)
    assert found is not None
    assert [part.program for part in found] == programs


@pytest.mark.parametrize("command", UNCERTAIN)
def test_what_is_not_certain_is_not_read(command: str) -> None:
    assert parts(command) is None


def test_a_part_tells_what_else_it_carries() -> None:
    (part,) = parts("A=1 B=2 python3 -c 'print(1)' *.py") or ()
    assert part.assigned == ("A=1", "B=2")
    assert part.words == ("python3", "-c", "print(1)", "*.py")
    assert (part.dynamic, part.shell, part.inline) == (True, False, "-c")
    (wrapped,) = parts("/bin/bash -lc 'ls'") or ()
    assert wrapped.shell
    (quoted,) = parts("'A=1' x") or ()
    assert quoted.assigned == ()


WORD = st.text("ab'\"\\ ;|&\n*[]=#!-", max_size=12)


@given(WORD)
def test_what_is_read_has_the_words_that_bash_sees(command: str) -> None:
    found = parts(command)
    if found is None or any(part.dynamic or part.assigned for part in found):
        return
    if any(part.program in ("[", "!") for part in found):
        return
    names = {part.program for part in found}
    # Every program is a function that prints its words; a pipe would swallow them, so all go to the same place.
    shows = 'show() { printf "%s\\0" "$#" "$@" >&3; return 0; }\n'
    script = shows + 'command_not_found_handle() { show "$@"; }\n' + command
    ran = subprocess.run(
        ["bash", "-c", f"exec 3>&1 >/dev/null; PATH=/nonexistent; {script}"],
        capture_output=True,
        check=False,
        timeout=20,
    )
    fields = ran.stdout.decode().split("\0")[:-1]
    seen: list[tuple[str, ...]] = []
    while fields:
        count = int(fields[0])
        seen.append(tuple(fields[1 : 1 + count]))
        fields = fields[1 + count :]
    expected = {part.words for part in found}
    if ran.stderr == b"" or seen:
        assert set(seen) <= expected
        assert {words[0] for words in seen} <= names


@pytest.mark.parametrize(
    ("command", "count", "nested", "kinds"),
    [
        ("ls | head -1", 2, 0, []),
        ("bash -c ls", 1, 1, ["shell-wrapper"]),
        ("python3 -c 1", 1, 0, ["inline-eval"]),
        ("ls *.md", 1, 0, ["dynamic-argument"]),
        ("a > b", 1, 0, []),
    ],
)
def test_a_request_for_approval_names_the_risks(command: str, count: int, nested: int, kinds: list[str]) -> None:
    found = analysis(command)
    assert (found["commandCount"], found["nestedCommandCount"], found["riskKinds"]) == (count, nested, kinds)
    assert len(found["warningLines"]) == len(kinds)
