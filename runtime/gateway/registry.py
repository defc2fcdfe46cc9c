"""The table of methods: name, family, scope, params, handler. A method that is not here is answered as unknown.

Each file of `runtime.gateway.methods` makes one family: a list `METHODS` of `Method`. Calls no handler by itself.
"""

from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from runtime.errors import LocalError
from runtime.gateway.frames import unknown_method
from runtime.gateway.params import Decoder, decoder

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk
    from runtime.gateway.link import Connection

FAMILIES: Final = (
    "agents",
    "approvals",
    "channels",
    "chat",
    "configuration",
    "cron",
    "devices",
    "logs",
    "models",
    "nodes",
    "quiet",
    "runs",
    "sessions_change",
    "sessions_create",
    "sessions_end",
    "sessions_list",
    "sessions_read",
    "sessions_usage",
    "status",
    "tools",
    "usage",
)
"""The files of `runtime.gateway.methods`."""


ANSWERED: Final = object()
"""What a handler returns that has given its answer with `first` already, because something had to come after it."""


@frozen
class Nothing:
    """Params of a method that takes none."""


@frozen
class Raw:
    """Params that the handler checks itself: it gets them as they came."""


@define(eq=False)
class Call:
    """One request under way. `first(payload)` answers ahead of the result, for methods that answer twice.

    `caller` is the connection that asked, or None for a call from inside (HTTP, cron).
    """

    desk: "Desk"
    caller: "Connection | None"
    method: str
    params: Any
    first: Callable[[Any], None] = field(default=lambda payload: None)
    scopes: frozenset[str] = frozenset({"operator.admin"})

    @property
    def sender(self) -> str:
        """Who asks, as transcripts name it."""
        return self.caller.client_id if self.caller is not None else "gateway"


Handler = Callable[[Call], Awaitable[Any]]


@frozen
class Method:
    """One row. `advertised` says whether hello names it; the scope is in `runtime.gateway.scopes`."""

    name: str
    handler: Handler
    params: type[Any] = Nothing
    advertised: bool = True
    decode: Decoder[Any] = field(init=False)

    @decode.default
    def _decoder(self) -> "Decoder[Any]":
        return as_they_came if self.params is Raw else decoder(self.params)


def as_they_came(method: str, params: object) -> Any:
    """Return params unchecked; absent ones are an empty object."""
    del method
    return {} if params is None else params


@define
class Registry:
    """All methods by name."""

    methods: dict[str, Method] = field(factory=dict)

    @classmethod
    def of(cls, families: Iterable[str] = FAMILIES) -> "Registry":
        """Return the methods of these families. Raises LocalError for a name that two of them claim."""
        made = cls()
        for family in families:
            for method in import_module(f"runtime.gateway.methods.{family}").METHODS:
                made.add(method)
        return made

    def add(self, method: Method) -> None:
        """Add a row."""
        if method.name in self.methods:
            raise LocalError(f"two methods are called {method.name}")
        self.methods[method.name] = method

    def get(self, name: str) -> Method:
        """Return a method. Raises GatewayError."""
        method = self.methods.get(name)
        if method is None:
            raise unknown_method(name)
        return method

    def names(self) -> list[str]:
        """Return what hello advertises."""
        return sorted(method.name for method in self.methods.values() if method.advertised)
