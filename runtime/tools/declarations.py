"""What the built-in tools are called and take: data only. How they work is in the module that `registry` names.

Rule 1: names, parameters, types and what is required are Gemini CLI's (AGENT_LOOP section 10, `traces/tools-*.json`).
Rule 2: the descriptions are our own words.
"""

from typing import Any, Final

from runtime.tools.flows import FETCHES, READS, RUNS, SEARCHES, WRITES
from runtime.vocab import EffectClass, ToolSpec

GIT_IGNORE: Final = "Leave out what .gitignore names. Default true; counts only inside a git repository."
GEMINI_IGNORE: Final = "Leave out what .geminiignore names. Default true."


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _whole(description: str, minimum: int | None = None) -> dict[str, Any]:
    bounds: dict[str, Any] = {} if minimum is None else {"minimum": minimum}
    return {"type": "integer", **bounds, "description": description}


def _takes(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


LIST_DIRECTORY: Final = ToolSpec(
    "list_directory",
    "List what is directly inside a folder: folders first, then files with their size in bytes.",
    _takes(
        ["dir_path"],
        dir_path=_text("The folder to list, from the workspace or absolute."),
        ignore={
            "type": "array",
            "items": {"type": "string"},
            "description": "Names to leave out; `*` and `?` stand for any characters and for one.",
        },
        file_filtering_options={
            "type": "object",
            "description": "Which ignore files count.",
            "properties": {"respect_git_ignore": _flag(GIT_IGNORE), "respect_gemini_ignore": _flag(GEMINI_IGNORE)},
        },
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

READ_FILE: Final = ToolSpec(
    "read_file",
    "Read one file. Text comes back as it is, at most 2,000 lines at a time: when it was cut, the answer says which "
    "lines are shown; give start_line and end_line to see others. Images, PDF, audio and video come back as data.",
    _takes(
        ["file_path"],
        file_path=_text("The file to read, from the workspace or absolute."),
        start_line=_whole("First line to show, counted from 1.", 1),
        end_line=_whole("Last line to show, counted from 1 and included.", 1),
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

GREP_SEARCH: Final = ToolSpec(
    "grep_search",
    "Search the text of files for a regular expression, line by line and in any case. "
    "Few matches come with the lines around them.",
    _takes(
        ["pattern"],
        pattern=_text("Regular expression in JavaScript's syntax. Escape brackets and dots that you mean literally."),
        dir_path=_text("Folder to search in, from the workspace or absolute. Default: the whole workspace."),
        include_pattern=_text("Search only files that this glob fits, for example `*.py` or `src/**/*.{ts,tsx}`."),
        exclude_pattern=_text("Regular expression; lines that it fits are left out."),
        names_only=_flag("Give the paths of the files only, without lines."),
        max_matches_per_file=_whole("Stop in a file after this many matches.", 1),
        total_max_matches=_whole("Stop after this many matches. Default 100.", 1),
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

GLOB: Final = ToolSpec(
    "glob",
    "Find files by name. Gives absolute paths: files changed within a day, newest first, then the rest by name.",
    _takes(
        ["pattern"],
        pattern=_text("What the path must look like, for example `**/*.py` or `docs/*.md`."),
        dir_path=_text("Folder to search in, from the workspace or absolute. Default: the whole workspace."),
        case_sensitive=_flag("Whether upper and lower case differ. Default false."),
        respect_git_ignore=_flag(GIT_IGNORE),
        respect_gemini_ignore=_flag(GEMINI_IGNORE),
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

REPLACE: Final = ToolSpec(
    "replace",
    "Replace a piece of text in a file. old_string must stand there exactly once, with its white space, unless "
    "allow_multiple is set; take a few lines around the place so that it is the only one. Read the file first. "
    "An empty old_string makes a new file.",
    _takes(
        ["file_path", "instruction", "old_string", "new_string"],
        file_path=_text("The file to change, from the workspace or absolute."),
        instruction=_text("What this change is for, in one or two sentences that stand by themselves."),
        old_string=_text("The text to replace, literally: no escapes, no dots in place of lines."),
        new_string=_text("The text to put there, literally and in full: no dots in place of lines."),
        allow_multiple=_flag("Replace every place where old_string stands. Default false."),
    ),
    EffectClass.COMPENSABLE,
    "edit",
    parallel=False,
    flow=WRITES,
)

WRITE_FILE: Final = ToolSpec(
    "write_file",
    "Write a whole file; folders on the way are made, a file that is there is replaced. "
    "Use replace to change a part of a file.",
    _takes(
        ["file_path", "content"],
        file_path=_text("The file to write, from the workspace or absolute."),
        content=_text("The complete content, literally: no dots in place of lines."),
    ),
    EffectClass.IDEMPOTENT,
    "edit",
    parallel=False,
    flow=WRITES,
)

WEB_FETCH: Final = ToolSpec(
    "web_fetch",
    "Read web pages and do with them what the prompt says. Private and local addresses are refused.",
    _takes(
        ["prompt"],
        prompt=_text("What to do, with the full addresses in it, each beginning with http:// or https://."),
    ),
    EffectClass.IDEMPOTENT,
    "fetch",
    flow=FETCHES,
)

RUN_SHELL_COMMAND: Final = ToolSpec(
    "run_shell_command",
    "Run a command with `bash -c` and give back what it printed (both streams, in order), its exit code or signal when "
    "there is one to tell, the pids that it left in the background, and its process group. There is no terminal and no "
    "input; a command that prints nothing for minutes is stopped. Command substitution is refused: run the inner "
    "command first and use its output. Prefer flags that make a command quiet and that never ask.",
    _takes(
        ["command"],
        command=_text("The command, as you would type it into bash."),
        description=_text("What the command does, for the person who watches; a line or two."),
        dir_path=_text("Folder to run in, from the workspace or absolute. Default: the workspace."),
        is_background=_flag("Start it and go on, for servers and watchers. Do not end the command with `&` as well."),
        delay_ms=_whole("With is_background: how many milliseconds to wait before going on. Default 200."),
    ),
    EffectClass.IRREVERSIBLE,
    "execute",
    flow=RUNS,
)

GOOGLE_WEB_SEARCH: Final = ToolSpec(
    "google_web_search",
    "Search the web with Google and get an answer with its sources.",
    _takes(["query"], query=_text("What to look for, as a question or as keywords.")),
    EffectClass.IDEMPOTENT,
    "read",
    flow=SEARCHES,
)

SPECS: Final = (
    LIST_DIRECTORY,
    READ_FILE,
    GREP_SEARCH,
    GLOB,
    REPLACE,
    WRITE_FILE,
    WEB_FETCH,
    RUN_SHELL_COMMAND,
    GOOGLE_WEB_SEARCH,
)
"""Every built-in tool, in the order in which the model is told of them."""

ALIASES: Final = {"search_file_content": "grep_search"}
"""Old names that still run but are not listed (AGENT_LOOP section 10)."""
