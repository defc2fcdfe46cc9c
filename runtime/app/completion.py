"""`twinstep completion SHELL`: prints a script by which bash, zsh or fish completes our commands, flags and values.

Made from the parsers of the command line, so it knows no flag that there is not. The script is static: it starts no
program while somebody types. Nothing is written into anybody's start-up files.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Final, NamedTuple, TextIO

from runtime.app import arguments
from runtime.app.commands import COMMANDS

PATHS: Final = {"FILE": "files", "PATH": "files", "journal": "files", "bundle": "files", "DIR": "folders"}
WORDS: Final = {"resume": ("latest",)}
"""What an argument takes, by its metavar or name, and words worth offering besides its `choices`."""

EPILOG: Final = """\
to try it in this terminal, or, in a start-up file, to have it in every new one:
  bash   eval "$(twinstep completion bash)"       ~/.bashrc
  zsh    eval "$(twinstep completion zsh)"        ~/.zshrc, below the line with compinit
  fish   twinstep completion fish | source        ~/.config/fish/config.fish
"""


class Argument(NamedTuple):
    """A flag in all its spellings, or (with none) an argument. `takes` is `nothing`, `text`, `files` or `folders`."""

    flags: tuple[str, ...]
    name: str
    takes: str
    words: tuple[str, ...]
    about: str


def parser() -> argparse.ArgumentParser:
    """Return the parser of `twinstep completion`."""
    made = arguments.Parser(
        prog="twinstep completion",
        description="Print a script by which a shell completes twinstep's commands and flags.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that you use")
    return made


def run(argv: Sequence[str], out: TextIO) -> int:
    """Print the script for a shell. Raises UsageError."""
    given = parser().parse_args(list(argv))
    out.write({"bash": bash, "zsh": zsh, "fish": fish}[given.shell]())
    return 0


def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of a headless run under the empty name, and that of each command under its own; those of
    commands of commands under all their words."""
    made: dict[str, argparse.ArgumentParser] = {"": arguments.parser()}
    for name in COMMANDS:
        made |= _within(name, import_module(f"runtime.app.{name}").parser())
    return made


def _within(name: str, made: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = {name: made}
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                found |= _within(f"{name} {word}", inner)
    return found


def shown(made: argparse.ArgumentParser) -> Iterator[Argument]:
    """Yield the arguments that the help of a parser shows, flags last."""
    for action in sorted(made._actions, key=lambda action: bool(action.option_strings)):
        if action.help != argparse.SUPPRESS:
            name = action.metavar if isinstance(action.metavar, str) else action.dest
            takes = "nothing" if action.nargs == 0 else PATHS.get(name, "text")
            words = tuple(action.choices) if action.choices else WORDS.get(action.dest, ())
            yield Argument(tuple(action.option_strings), name, takes, words, action.help or "")


def bash() -> str:
    """Return the script for bash, from 3.2 on (which macOS has)."""
    options = {"nothing": "", "text": "", "files": "-f", "folders": "-d"}
    names, values = [], []
    for command, made in parsers().items():
        given = tuple(shown(made))
        bare = [one for one in given if not one.flags and command]
        words = COMMANDS if not command else tuple(word for one in bare for word in one.words)
        flags = (flag for one in given for flag in one.flags)
        paths = "".join(options[one.takes] for one in bare)
        names.append(f"            '{command}') offered='{' '.join(words)}' paths={paths} flags='{' '.join(flags)}';;")
        for one in given:
            if one.flags and one.takes != "nothing":
                pattern = "|".join(f"'{command} {flag}'" for flag in one.flags)
                values.append(f"        {pattern}) offered='{' '.join(one.words)}' paths={options[one.takes]};;")
    return _filled(BASH, PLACES=_places(), NAMES="\n".join(names), VALUES="\n".join(values))


def zsh() -> str:
    """Return the script for zsh."""
    cases = []
    for command, made in parsers().items():
        specs = [_zsh_spec(one) for one in shown(made) if one.flags or command]
        cases.append(f"        '{command}') _arguments -s {' '.join(specs)};;")
    listed = " ".join(_quoted(f"{name}:{made.description}") for name, made in parsers().items() if name in COMMANDS)
    return _filled(ZSH, PLACES=_places(), LISTED=listed, CASES="\n".join(cases))


def _places() -> str:
    return "|".join(f"'{name}'" for name in parsers() if name)


def _zsh_spec(one: Argument) -> str:
    how = {"files": "_files", "folders": "_files -/"}.get(one.takes, f"({' '.join(one.words)})")
    value = "" if one.takes == "nothing" else f":{one.name.lower().replace('_', ' ')}:{how}"
    if not one.flags:
        return _quoted(f"1{value}")
    about = one.about.replace("[", "(").replace("]", ")")
    alone = f"({' '.join(one.flags)})"
    return " ".join(_quoted(f"{alone}{flag}[{about}]{value}") for flag in one.flags)


def fish() -> str:
    """Return the script for fish."""
    how = {"nothing": "", "text": "-x", "files": "-r -F", "folders": "-x -a '(__fish_complete_directories)'"}
    lines = []
    for command, made in parsers().items():
        if command in COMMANDS:
            lines.append(f"-n '__twinstep_at FIRST' -a {command} -d {_quoted(made.description or '')}")
        for one in shown(made):
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in one.flags)
            words = f"-a '{' '.join(one.words)}'" if one.words else ""
            takes = how[one.takes] if flags else "-F" if one.takes == "files" else ""
            if flags or command:
                about = _quoted(one.about)
                place = f'"{command}"' if command else "FIRST RUN"
                lines.append(f"-n '__twinstep_at {place}' {flags} {takes} {words} -d {about}")
    tidy = (" ".join(["complete -c twinstep", *line.split()]) for line in lines)
    return _filled(FISH, PLACES=_places().replace("|", " "), LINES="\n".join(tidy))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _filled(script: str, **parts: str) -> str:
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


BASH: Final = """\
# How bash completes twinstep. Made by: twinstep completion bash
_twinstep() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= offered= paths= flags= one
    for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${command:+$command }$one" in @PLACES@) command="${command:+$command }$one";; *) break;; esac
    done
    # bash makes three words of --flag=value
    if [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
    if [[ $word == = ]]; then word=; fi
    if [[ $word == -* ]]; then before=; fi
    case "$command $before" in
@VALUES@
        *)
            case $command in
@NAMES@
            esac
            if [[ -z $command ]] && ((COMP_CWORD > 1)); then offered=; fi
            if [[ $word == -* ]]; then offered=$flags paths=; fi;;
    esac
    COMPREPLY=()
    while IFS= read -r one; do COMPREPLY+=("$one"); done < <(
        compgen -W "$offered" -- "$word"
        if [[ -n $paths ]]; then compgen $paths -- "$word"; fi
    )
    if [[ -n $paths ]]; then compopt -o filenames 2>/dev/null; fi
    return 0
}
complete -F _twinstep twinstep
"""

ZSH: Final = """\
# How zsh completes twinstep. Made by: twinstep completion zsh
_twinstep() {
    local command= commands
    commands=(@LISTED@)
    while ((CURRENT > 2)); do
        case "${command:+$command }$words[2]" in
            @PLACES@) command="${command:+$command }$words[2]"; shift words; ((CURRENT--));;
            *) break;;
        esac
    done
    if ((CURRENT == 2)) && [[ -z $command ]]; then _describe -t commands command commands; fi
    case $command in
@CASES@
    esac
}
compdef _twinstep twinstep
"""

FISH: Final = """\
# How fish completes twinstep. Made by: twinstep completion fish
function __twinstep_at
    set -l words (commandline -opc)
    set -l place RUN
    if test (count $words) -lt 2
        set place FIRST
    else
        set -l at
        for word in $words[2..-1]
            contains -- (string join ' ' $at $word) @PLACES@; or break
            set -a at $word
        end
        if test (count $at) -gt 0
            set place (string join ' ' $at)
        end
    end
    contains -- $place $argv
end
complete -c twinstep -f
@LINES@
"""
