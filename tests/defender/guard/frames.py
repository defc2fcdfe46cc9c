"""Events of a gateway as the contract tells them, for tests of the guard."""

from typing import Any

Frame = dict[str, Any]
KEY = "agent:main:main"


def event(name: str, **payload: Any) -> Frame:
    """An event."""
    return {"type": "event", "event": name, "payload": payload, "seq": 1}


def message(role: str, content: Any, name: str = "m1", key: str = KEY, *, owner: bool = True, **more: Any) -> Frame:
    """A message of the transcript."""
    about = {"sessionKey": key, "senderIsOwner": owner, "messageId": name}
    return event("session.message", **about, message={"role": role, "content": content, **more})


def final(text: str, run: str = "r1", key: str = KEY, state: str = "final") -> Frame:
    """The end of a run, with its answer."""
    said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return event("chat", runId=run, sessionKey=key, state=state, message=said)


def start(tool: str, call: str = "c1", name: str = "agent", **args: Any) -> Frame:
    """A call begins."""
    data = {"phase": "start", "name": tool, "toolCallId": call, "args": args}
    return event(name, runId="r1", sessionKey=KEY, stream="tool", data=data)


def result(text: str, tool: str = "read", call: str = "c1", name: str = "agent") -> Frame:
    """A call ends."""
    shown = {"content": [{"type": "text", "text": text}], "details": {}}
    data = {"phase": "result", "name": tool, "toolCallId": call, "isError": False, "result": shown}
    return event(name, runId="r1", sessionKey=KEY, stream="tool", data=data)


def question(command: Any, name: str = "q1") -> Frame:
    """Somebody is asked whether a command may run."""
    request = {"command": command, "sessionKey": KEY, "runId": "r1", "toolCallId": "c1"}
    return event("exec.approval.requested", id=name, approvalKind="exec", request=request)
