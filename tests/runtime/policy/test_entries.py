"""Entries of the tool lists, and what a shell command's beginning allows. All of it without a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.entries import Entry, begins, entries, holds

WORDS = ("git", "npm test")


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("read_file", Entry("read_file")),
        (" read_file ", Entry("read_file")),
        ("run_shell_command(git)", Entry("run_shell_command", "git")),
        ("ShellTool(npm  test)", Entry("run_shell_command", "npm test")),
        ("ShellTool", Entry("run_shell_command")),
        ("run_shell_command()", Entry("run_shell_command")),
        ("run_shell_command(echo (a))", Entry("run_shell_command", "echo (a)")),
        ("read_file(secret)", Entry("read_file")),
        ("search_file_content", Entry("grep_search")),
        ("(git)", Entry("(git)")),
        ("run_shell_command(git", Entry("run_shell_command(git")),
        ("", Entry("")),
    ],
)
def test_an_entry_is_a_name_and_for_the_shell_the_first_words(text: str, entry: Entry) -> None:
    assert entries([text]) == (entry,)


@pytest.mark.parametrize(
    "command",
    [
        "git",
        "git status",
        "  git   status ",
        "npm test",
        "npm  test -- --watch=false",
        "git log && git status",
        "git log | git diff --stat; npm test || git stash",
        "git commit -m 'a message'",
    ],
)
def test_a_command_of_which_each_part_begins_with_the_words_is_allowed(command: str) -> None:
    assert begins(command, WORDS)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "gitx",
        "git-foo",
        "npm",
        "npm testx",
        "npm run test",
        "git status && ls",
        "git log | cat",
        "git log|cat",
        "git;",
        "git & ls",
        "git > x",
        "git < x",
        "git $(ls)",
        "git `ls`",
        "git $HOME",
        "git\nls",
        "git\rls",
        "git\0ls",
        "(git)",
        "{ git; }",
        "git \\; ls",
        "A=1 git",
        "/usr/bin/git",
        'git commit -m "a; b"',
        "git <(ls)",
        "git &&& git",
        "if git; then git; fi",
    ],
)
def test_a_command_that_could_start_anything_else_is_not_allowed(command: str) -> None:
    assert not begins(command, WORDS)


def test_no_beginnings_allow_nothing() -> None:
    assert not begins("git", ())
    assert not begins("", ("",))


@given(st.text(max_size=20), st.sampled_from("$`<>(){}\\\n&"))
def test_whatever_follows_a_beginning_a_sign_of_other_syntax_forbids_it(tail: str, sign: str) -> None:
    assert not begins(f"git {tail}{sign} x", ("git",))


@given(st.text(alphabet="abc ;|&'\"", max_size=20))
def test_an_allowed_command_has_no_part_that_begins_otherwise(tail: str) -> None:
    command = f"git {tail}"
    parts = [part for rest in command.split(";") for part in rest.split("|")]
    allowed = begins(command, ("git",))
    assert not allowed or all(part.split("&&")[0].split()[:1] == ["git"] or not part for part in parts)


@pytest.mark.parametrize(
    "command",
    [
        "rm x",
        "ls && rm x",
        'bash -c "rm x"',
        "echo $(rm x)",
        "/bin/rm x",
        "sudo rm x",
        "rm\tx",
        "x;rm",
        "git push",
        "git  push -f",
    ],
)
def test_words_are_found_wherever_they_stand(command: str) -> None:
    assert holds(command, "rm") or holds(command, "git push")


@pytest.mark.parametrize("command", ["rmdir x", "ls farm", "git status", "a.rm", "x-rm", "rm_all", "rm-all"])
def test_words_inside_of_other_words_do_not_count(command: str) -> None:
    assert not holds(command, "rm")
