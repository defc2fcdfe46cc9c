"""An editor in a process of its own: attaches over TCP, and writes into a file what came of it: `ok`, or the refusal.

python tests/debugger/dap/visitor.py PORT TOKENFILE FILE
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any


def visit(port: int, token: str) -> str:
    """Say what came of it."""
    with socket.create_connection(("127.0.0.1", port), 20) as end:
        for seq, (command, given) in enumerate((("initialize", {}), ("attach", {"token": token, "session": "all"})), 1):
            body = json.dumps({"seq": seq, "type": "request", "command": command, "arguments": given}).encode()
            end.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        with end.makefile("rb") as lines:
            return heard(lines)


def heard(lines: Any) -> str:
    """Read messages until one says how it went."""
    while line := lines.readline():
        if not line.lower().startswith(b"content-length:"):
            continue
        assert lines.readline() == b"\r\n"
        message = json.loads(lines.read(int(line.partition(b":")[2])))
        if message.get("event") == "initialized":
            return "ok"
        if message.get("command") == "attach":
            return f"refused: {message['message']}"
    return "the connection ended"


if __name__ == "__main__":
    found = visit(int(sys.argv[1]), Path(sys.argv[2]).read_text().strip() if sys.argv[2] != "-" else "")
    unfinished = Path(f"{sys.argv[3]}.part")
    unfinished.write_text(found)
    unfinished.rename(sys.argv[3])
