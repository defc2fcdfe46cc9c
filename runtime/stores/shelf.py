"""All documents of one kind as values in memory, in step with the store. It waits for nothing and changes no value.

Loaded whole when it is made, from what is on disk by then: it is for what is few and small. Members of a document that
its class does not know are passed over, and those that it has besides get their defaults, so that older and newer
programs can share a journal.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar, overload

import msgpack
from cattrs import BaseValidationError, transform_error
from cattrs.strategies import configure_union_passthrough

from runtime.step.records import CONVERTER
from runtime.stores.choose import Journal

T = TypeVar("T")
D = TypeVar("D")

_UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    msgpack.UnpackException,
)
"""What reading a document of another class, or of another program, raises."""
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CONVERTER: Final = CONVERTER.copy()
configure_union_passthrough(str | bool | int | float | None, _CONVERTER)


class Shelf(Generic[T]):
    """Key to value, each kept as the document of that key. `cls` is a frozen attrs class: values are replaced whole.

    `items` is what is there; it is changed with `put` and `drop` only. `complaints` says in one sentence each which
    documents could not be read when it was made; these are left out, and stay on disk until somebody puts or drops
    their key.
    """

    def __init__(self, store: Journal, kind: str, cls: type[T]) -> None:
        """Load the documents of a kind. Raises JournalCorrupt for a damaged journal."""
        self.items: dict[str, T] = {}
        self.complaints: list[str] = []
        self._store = store
        self._kind = kind
        self._unread: set[str] = set()
        self._ticket = 0
        for key, body in store.documents(kind):
            try:
                self.items[key] = _CONVERTER.structure(_load(body, store.codec), cls)
            except BaseValidationError as exc:
                self._complain(key, "; ".join(transform_error(exc)))
            except _UNREADABLE as exc:
                self._complain(key, f"{type(exc).__name__}: {exc}")

    def put(self, key: str, value: T) -> int:
        """Keep a value; returns the ticket to wait for. Raises like `Store.put`, and then kept nothing.

        One that is there already is not written again.
        """
        body = self._dump(value)
        if key not in self.items or self.items[key] != value or self._dump(self.items[key]) != body:  # 1 equals True
            self._ticket = self._store.put(self._kind, key, body)
            self._unread.discard(key)
        self.items[key] = value
        return self._ticket

    def drop(self, key: str) -> int:
        """Delete a value, also one that could not be read; returns the ticket to wait for. Raises like `Store.put`."""
        if key in self.items or key in self._unread:
            self._ticket = self._store.put(self._kind, key, None)
            self._unread.discard(key)
            self.items.pop(key, None)
        return self._ticket

    @overload
    def get(self, key: str) -> T | None: ...
    @overload
    def get(self, key: str, default: T | D) -> T | D: ...
    def get(self, key: str, default: D | None = None) -> T | D | None:
        """Return the value of a key, or `default`."""
        return self.items.get(key, default)

    def __getitem__(self, key: str) -> T:
        return self.items[key]

    def __contains__(self, key: object) -> bool:
        return key in self.items

    def __iter__(self) -> Iterator[str]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def _complain(self, key: str, reason: str) -> None:
        self._unread.add(key)
        self.complaints.append(f"{self._store.name}: document {self._kind} {key!r} cannot be read: {reason}")

    def _dump(self, value: T) -> bytes:
        plain = _CONVERTER.unstructure(value)
        if self._store.codec == "json":
            return _json(plain)
        try:
            packed: bytes = msgpack.packb(plain, unicode_errors="surrogatepass")
        except (OverflowError, ValueError):  # an integer, or a depth, that msgpack has no place for
            packed = msgpack.packb({"json": _json(plain)})
        return packed


def _json(plain: Any) -> bytes:
    text = _JSON.encode(plain)
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates come back only from escapes
        return json.dumps(plain, separators=(",", ":")).encode()


def _load(body: bytes, codec: str) -> Any:
    if codec == "json":
        return json.loads(body)
    plain = msgpack.unpackb(body, unicode_errors="surrogatepass", strict_map_key=False)
    match plain:
        case {"json": bytes(text)} if len(plain) == 1:
            return json.loads(text)
    return plain
