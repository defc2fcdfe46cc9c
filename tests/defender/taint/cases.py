"""Short ways to ask for a decision: a request, what was read, a call."""

from typing import Any, Final

from defender.findings import Assessment
from defender.taint import decide
from defender.taint.serving import asked_of
from runtime.ports import Asked
from runtime.vocab import Decision, evolve

READ: Final = {"effect": "none", "sink_args": [], "content_args": [], "result": "untrusted"}
OWN: Final = {"effect": "none", "sink_args": [], "content_args": [], "result": "trusted"}
META: Final[dict[str, dict[str, Any]]] = {
    "read_mail": READ,
    "search_files": READ,
    "search_mails": READ,
    "list_channels": READ,
    "get_profile": OWN,
    "get_page": {"effect": "fetch", "sink_args": ["url"], "content_args": [], "result": "untrusted"},
    "send_mail": {"effect": "egress", "sink_args": ["to", "cc"], "content_args": ["subject", "body"], "result": "echo"},
    "share_file": {"effect": "egress", "sink_args": ["file_id", "to"], "content_args": [], "result": "echo"},
    "delete_file": {"effect": "local", "sink_args": ["file_id"], "content_args": [], "result": "echo"},
    "create_file": {"effect": "local", "sink_args": [], "content_args": ["filename", "content"], "result": "echo"},
    "send_money": {
        "effect": "privileged",
        "sink_args": ["to", "amount"],
        "content_args": ["subject"],
        "result": "echo",
    },
    "post_channel_message": {"effect": "egress", "sink_args": ["channel"], "content_args": ["body"], "result": "echo"},
    "create_event": {
        "effect": "egress",
        "sink_args": ["guests"],
        "content_args": ["title", "start", "location"],
        "result": "echo",
    },
    "update_password": {"effect": "privileged", "sink_args": ["password"], "content_args": [], "result": "echo"},
    "shell": {"effect": "privileged", "sink_args": ["command"], "content_args": [], "result": "untrusted"},
}
"""Tools of a made-up world."""


def brought(tool: str, text: str, integrity: str = "untrusted", **args: Any) -> dict[str, Any]:
    """What a call brought."""
    return {"call": {"name": tool, "args": args}, "result": text, "origin": f"tool:{tool}", "integrity": integrity}


MAIL: Final = brought("read_mail", "Hello! See you on Friday.")


def asking(request: str, tool: str, args: dict[str, Any], *trace: dict[str, Any], workspace: str = "") -> Asked:
    """A call after something was read; without a trace, after a mail of somebody else."""
    told = {"prompt": request, "system": "", "trace": list(trace or (MAIL,)), "call": {"name": tool, "args": args}}
    return evolve(asked_of({**told, "tool_meta": META}), workspace=workspace)


def decided(request: str, tool: str, args: dict[str, Any], *trace: dict[str, Any], workspace: str = "") -> Assessment:
    """The decision about it."""
    return decide(asking(request, tool, args, *trace, workspace=workspace))


def rule(request: str, tool: str, args: dict[str, Any], *trace: dict[str, Any], workspace: str = "") -> str:
    """The rule by which it goes to a person, or `allow`."""
    found = decided(request, tool, args, *trace, workspace=workspace)
    if found.decision is Decision.ALLOW:
        return "allow"
    assert found.decision is Decision.REVIEW
    return found.signals[0].rule
