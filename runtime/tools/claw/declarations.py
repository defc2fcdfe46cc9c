"""What the tools of gateway sessions are called and take: data only. How they work is in the module of that name.

Rule 1: names, parameters, types and what is required are OpenClaw's (observed in the function declarations it sends).
Rule 2: the descriptions are our own words.
"""

from typing import Any, Final

from runtime.tools.flows import FEEDS, FETCHES, READS, RUNS, SEARCHES, TELLS, WRITES
from runtime.vocab import EffectClass, ToolSpec


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "number", "description": description}


def _whole(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _words(description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _takes(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return {"type": "object", "required": list(required), "properties": properties} if required else found


READ: Final = ToolSpec(
    "read",
    "Show a text file, or look at an image (jpg, png, gif, webp, bmp). At most 2000 lines or 50 KB of text come at a "
    "time; the answer says with which offset, limit or cursor to go on.",
    _takes(
        "path",
        path=_text("The file, from the workspace or absolute."),
        offset=_whole("First line to show, counted from 1."),
        limit=_number("How many lines to show at most."),
        cursor=_whole("Where in the first line to begin, counted in characters from 0; for very long lines."),
        optional=_flag("Say not_found instead of failing when there is no such file."),
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

WRITE: Final = ToolSpec(
    "write",
    "Write a whole file. A file that is there is replaced, missing folders are made.",
    _takes(
        "path",
        "content",
        path=_text("The file, from the workspace or absolute."),
        content=_text("The complete content."),
    ),
    EffectClass.IDEMPOTENT,
    "edit",
    parallel=False,
    flow=WRITES,
)

EDIT: Final = ToolSpec(
    "edit",
    "Replace pieces of one file. Each oldText must stand in the file exactly once, and no two may overlap; all are "
    "looked up in the file as it is before the call. Put neighbouring changes into one edit.",
    _takes(
        "path",
        "edits",
        path=_text("The file, from the workspace or absolute."),
        edits={
            "type": "array",
            "items": _takes(
                "oldText",
                "newText",
                oldText=_text("The text as it stands in the file, with its white space."),
                newText=_text("The text to put there."),
            ),
            "description": "The replacements.",
        },
    ),
    EffectClass.COMPENSABLE,
    "edit",
    parallel=False,
    flow=WRITES,
)

APPLY_PATCH: Final = ToolSpec(
    "apply_patch",
    "Change several files at once with a patch that stands between *** Begin Patch and *** End Patch. Each part begins "
    "with *** Add File: PATH, *** Delete File: PATH or *** Update File: PATH (then optionally *** Move to: PATH, and "
    "for each place a line beginning with @@ followed by lines that begin with a space, - or +).",
    _takes("input", input=_text("The patch, from *** Begin Patch to *** End Patch.")),
    EffectClass.COMPENSABLE,
    "edit",
    parallel=False,
    flow=WRITES,
)

LS: Final = ToolSpec(
    "ls",
    "List a folder, hidden names and links included, in the order of the names' characters. Names come in JSON's "
    "quotes, folders with a slash at the end.",
    _takes(
        path=_text("The folder, from the workspace or absolute. Default: the workspace."),
        limit=_number("How many names to give at most. Default 500."),
        after=_text("The name after which to go on, as the last answer gave it."),
    ),
    EffectClass.PURE,
    "read",
    flow=READS,
)

EXEC: Final = ToolSpec(
    "exec",
    "Run a command with bash. A command that ends gives its output. One that still runs after yieldMs goes on in the "
    "background under a sessionId, with which the tool process looks at it, feeds it and ends it. There is no input "
    "without pty. Do not wait with sleep for something that somebody else will tell you.",
    _takes(
        "command",
        title=_text("What the call is for, in a few words, without secrets."),
        command=_text("The command."),
        workdir=_text("Folder to run in, from the workspace or absolute; taken literally. Default: the workspace."),
        env={"type": "object", "description": "Variables to set for the command, taken literally."},
        yieldMs=_number("Milliseconds to wait for the end before it goes on in the background. Default 10000."),
        background=_flag("Do not wait at all."),
        timeoutSeconds=_number("Seconds after which the command is ended; 0 for never. Default 1800."),
        pty=_flag("Give the command a terminal, for programs that want one; only then it takes input."),
        elevated=_flag("Ask for more rights than usual. Not available here."),
        host={"enum": ["auto", "sandbox", "gateway", "node"], "type": "string", "description": "Where to run it."},
        ask=_text("always: have a person approve this call in any case."),
        node=_text("Which node, with host=node."),
    ),
    EffectClass.IRREVERSIBLE,
    "execute",
    flow=RUNS,
)

PROCESS: Final = ToolSpec(
    "process",
    "Look after commands that exec left running. list shows them; poll gives what is new and waits up to timeout; log "
    "gives kept lines; write, send-keys, submit and paste feed one that has a terminal; kill ends it; clear and remove "
    "forget it.",
    _takes(
        "action",
        action={
            "type": "string",
            "enum": ["list", "poll", "log", "write", "send-keys", "submit", "paste", "kill", "clear", "remove"],
            "description": "What to do.",
        },
        sessionId=_text("Which command, as exec named it; needed for all actions but list."),
        data=_text("For write: the text."),
        keys=_words("For send-keys: names of keys, such as Enter, Tab, Up, C-c or F1."),
        hex=_words("For send-keys: bytes in hexadecimal."),
        literal=_text("For send-keys: text as it is."),
        text=_text("For paste: the text."),
        bracketed=_flag("For paste: mark it as pasted. Default true."),
        eof=_flag("For write: end the input afterwards."),
        offset=_number("For log: first line, counted from 0."),
        limit=_number("For log: how many lines; without offset the last ones."),
        timeout=_number("For poll: milliseconds to wait for something new, at most 30000."),
    ),
    EffectClass.IRREVERSIBLE,
    "execute",
    parallel=False,
    flow=FEEDS,
)

WEB_FETCH: Final = ToolSpec(
    "web_fetch",
    "Get a public web page as text. Private and local addresses are refused; scripts of the page do not run.",
    _takes(
        "url",
        url=_text("The address, http or https."),
        extractMode={
            "enum": ["markdown", "text"],
            "type": "string",
            "description": "How to give the text.",
            "default": "markdown",
        },
        maxChars=_whole("Give at most so many characters."),
    ),
    EffectClass.IDEMPOTENT,
    "fetch",
    flow=FETCHES,
)

SESSION_STATUS: Final = ToolSpec(
    "session_status",
    "Tell about a session: its model, its use of tokens, the time.",
    _takes(
        sessionKey=_text("Which session; `current` or nothing for this one."),
        model=_text("Another model to use from now on."),
        changesSince=_whole("Only what changed after this state version."),
    ),
    EffectClass.PURE,
    "read",
    flow=TELLS,
)

SESSIONS_LIST: Final = ToolSpec(
    "sessions_list",
    "List the sessions, the latest first, a page at a time; go on with nextOffset while hasMore is true.",
    _takes(
        kinds={
            "type": "array",
            "items": {"enum": ["main", "group", "cron", "hook", "node", "other"], "type": "string"},
            "description": "Only sessions of these kinds.",
        },
        limit=_whole("How many; default 100, at most 200."),
        offset=_whole("How many to skip."),
        activeMinutes=_whole("Only sessions that something happened in within so many minutes."),
        search=_text("Only sessions whose key or label contains this."),
    ),
    EffectClass.PURE,
    "read",
    flow=SEARCHES,
)

AGENTS_LIST: Final = ToolSpec(
    "agents_list",
    "List the agents.",
    _takes(),
    EffectClass.PURE,
    "read",
    flow=TELLS,
)

SESSIONS_HISTORY: Final = ToolSpec(
    "sessions_history",
    "Tell what was said in a session, the latest last.",
    _takes(
        "sessionKey",
        sessionKey=_text("Which session."),
        limit=_whole("How many messages; default 50, at most 200."),
        includeTools=_flag("With the results of tools. Default false."),
    ),
    EffectClass.PURE,
    "read",
    flow=SEARCHES,
)

SPECS: Final = (APPLY_PATCH, EDIT, EXEC, LS, PROCESS, READ, WEB_FETCH, WRITE)
"""The tools that a model of a gateway session is told of, in their order (by name, as OpenClaw sends them)."""
