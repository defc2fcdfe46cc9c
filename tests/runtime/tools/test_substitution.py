"""Command substitution: what is found, what is not, and bash itself as the judge."""

import os
import shutil
import subprocess
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.tools.substitution import substitutes, unwrapped


@pytest.mark.parametrize(
    "command",
    [
        "echo $(id)", "echo `id`", 'echo "$(id)"', 'echo "`id`"', "diff <(a) b", "tee >(a)", "echo $((1+2))",
        "echo \\\\$(id)", "bash -c 'echo $(id)'", "/bin/sh -c 'x' `y`", "cat <<EOF\n$(id)\nEOF",
        "cat <<'EOF'\n$(id)\nEOF", "echo $'\\'' $(id)", "echo a # it's\necho $(id)", "cat <<EOF\nit's\nEOF\necho $(id)",
        "cat <<-A <<B\n\tit's\n\tA\nx\nB\n`id`",
        "echo \"a'b\" $(id)", "cat <<EOF\n\\\\$(id)\nEOF", "echo ${x:-$(id)}", 'echo "${x:-`id`}"',
    ],
)  # fmt: skip
def test_substitutions_are_found(command: str) -> None:
    assert substitutes(command)


@pytest.mark.parametrize(
    "command",
    [
        "echo hi", "echo '$(id)'", "echo '`id`'", "echo \\$\\(id\\)", "echo \\`id\\`", 'echo "\\$(id)"', 'echo "\\`"',
        "(echo a; echo b)", "f() { echo a; }", "echo ${x}", "a < b > c", "echo 'a' # comment",
        "cat <<'EOF'\nplain\nEOF", "awk '{print $1}' < f", "echo \"<(not)\"", "[[ a =~ (b|c) ]]",
        "x=1; echo $x$y", "echo a <<<b",
    ],
)  # fmt: skip
def test_other_commands_pass(command: str) -> None:
    assert not substitutes(command)


@pytest.mark.parametrize(
    ("command", "inner"),
    [
        ("bash -c 'echo hi'", "echo hi"),
        ('/bin/bash  -c "echo \\"a b\\" \\$x"', 'echo "a b" $x'),
        ("  echo hi \n", "echo hi"),
        ("bash -c 'echo a' && echo 'b'", "bash -c 'echo a' && echo 'b'"),
        ('bash -c "echo $HOME"', 'bash -c "echo $HOME"'),
        ("bash -c 'echo $0' name", "bash -c 'echo $0' name"),
        ("bash script.sh", "bash script.sh"),
    ],
)
def test_a_wrapper_is_taken_off_only_when_that_changes_nothing(command: str, inner: str) -> None:
    assert unwrapped(command) == inner


BASH = shutil.which("bash") or "bash"
PIECES = [
    "'",
    '"',
    "\\",
    "\n",
    " ",
    "#",
    "$'",
    "$(:>&9)",
    "`:>&9`",
    "x",
    "<<E",
    "<<'E'",
    "\nE\n",
    ";",
    "<(:>&9)",
    "${x:-",
    "}",
]
"""The payload `:>&9` stands for writing to a pipe; see `ran_by_bash`."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to ask")
@settings(max_examples=120)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_bash_substitutes_nothing_in_a_command_that_passes(command: str) -> None:
    if not substitutes(command):
        assert not ran_by_bash(command)


def ran_by_bash(command: str) -> bool:
    """Whether the payload ran: it writes a mark to a pipe."""
    told, mark = os.pipe()
    try:
        subprocess.run(
            [BASH, "-c", f"x() {{ :; }}\n{command.replace(':>&9', f'echo m >&{mark}')}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(mark,),
            cwd="/",
            env={"PATH": "/nowhere"},
            timeout=60,
        )
    finally:
        os.close(mark)
    with os.fdopen(told, "rb") as pipe:
        return bool(pipe.read())


def test_the_judge_sees_a_payload_that_runs() -> None:
    assert [ran_by_bash(form) for form in ("echo $(:>&9)", "echo '$(:>&9)'")] == [True, False]


@given(st.text("'\"\\$(`<>#\n aE-", max_size=20))
def test_no_command_breaks_the_readers(command: str) -> None:
    substitutes(command)
    unwrapped(command)


def test_every_pair_of_quotes_and_substitutions_is_decided() -> None:
    for quote, inner in product(("'", '"', "$'", ""), ("$(id)", "`id`")):
        closing = quote[-1:]
        assert substitutes(f"echo {quote}{inner}{closing}") == (quote in ('"', ""))
