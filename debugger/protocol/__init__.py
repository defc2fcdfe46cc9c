"""The debugger's protocol without any I/O: frames, both sides of a connection, and the table of commands and events.

A frame is four bytes of length and a msgpack map. Every front end is a client of this protocol, and there is no other
way to the debugger. Pure: it opens nothing, waits for nothing and knows no session.
"""

from debugger.protocol.client import ClientConnection
from debugger.protocol.commands import COMMANDS, EVENTS, ROLES, Command, includes
from debugger.protocol.errors import CODES, Failure, body_of
from debugger.protocol.params import Hello, Role
from debugger.protocol.server import VERSION, ServerConnection

__all__ = [
    "VERSION",
    "Hello",
    "Role",
    "ROLES",
    "includes",
    "Command",
    "COMMANDS",
    "EVENTS",
    "CODES",
    "Failure",
    "body_of",
    "ServerConnection",
    "ClientConnection",
]
