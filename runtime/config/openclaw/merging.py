"""Merge patches as config.patch knows them, and their way back (CONTRACT section 11). Pure.

As RFC 7396: objects are merged, null takes a key away, anything else replaces. Besides: a list whose items all have an
`id` is merged item by item, and a patch that would lose items of a list is refused, unless it says that it means it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from runtime.config.openclaw.issues import Rejected, below
from runtime.config.openclaw.reload import equal
from runtime.config.openclaw.source import INCLUDE, substituted
from runtime.vocab import JsonObject

GONE: Final = object()


def merged(base: Any, patch: Any, replace: Collection[str] = (), path: str = "") -> Any:
    """Return `base` with the patch laid over it. `replace` names lists that the patch replaces as a whole.

    Raises Rejected where two items of a list have one id, so that it is open which is meant.
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        here = below(path, key)
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list) and isinstance(old, list) and by_id(old) and here not in replace:
            result[key] = _merged_items(old, value, replace, here)
        else:
            result[key] = merged(old, value, replace, here)
    return result


def by_id(items: list[Any]) -> bool:
    """Whether every item of a list has an id, so that items are told apart by it."""
    return all(_id(item) for item in items)


def _id(item: Any) -> str | None:
    name = item.get("id") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name else None


def _merged_items(old: list[Any], patch: list[Any], replace: Collection[str], path: str) -> list[Any]:
    for items in (old, [item for item in patch if _id(item)]):
        names = [_id(item) for item in items]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise Rejected(f"two items of the list {path} have the id {twice!r}: replace the list with replacePaths")
    result = list(old)
    places = {_id(item): number for number, item in enumerate(old)}
    for item in patch:
        place = places.get(name) if (name := _id(item)) else None
        if place is None:
            result.append(item)
        else:
            result[place] = merged(result[place], item, replace, f"{path}[]")
    return result


def applied(base: Any, patch: Any) -> Any:
    """Return `base` with a `difference` put back in. Here null is a value like others."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is GONE:
            result.pop(key, None)
        else:
            result[key] = applied(result.get(key), value)
    return result


def replace_paths(paths: Collection[str]) -> frozenset[str]:
    """Return the lists that a patch may replace, as `merged` and `lost` name them."""
    tidy = (re.sub(r"\[\d+\](?=\.)", "[]", path.strip().removesuffix("[]")) for path in paths)
    return frozenset(path for path in tidy if path)


def lost(base: Any, patch: Any, after: Any, path: str = "") -> Iterator[str]:
    """Return the lists of which a patch would take items away."""
    if not isinstance(base, Mapping) or not isinstance(patch, Mapping):
        return
    for key, value in patch.items():
        here, old = below(path, key), base.get(key)
        new = after.get(key) if isinstance(after, Mapping) else None
        if isinstance(old, list):
            yield from _lost_items(old, value, new, here)
        elif isinstance(old, Mapping) and not isinstance(value, Mapping):
            yield from _lists(old, here)
        else:
            yield from lost(old, value, new, here)


def _lost_items(old: list[Any], value: Any, new: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list) or not isinstance(new, list) or not _kept(old, new):
        yield path
    elif by_id(old):
        olds, news = ({_id(item): item for item in items} for items in (old, new))
        for item in value:
            if (name := _id(item)) in olds:
                yield from lost(olds[name], item, news.get(name), f"{path}[]")


def _kept(old: list[Any], new: list[Any]) -> bool:
    if by_id(old):
        return {_id(item) for item in old} <= {_id(item) for item in new}
    rest = list(new)
    for item in old:
        found = next((number for number, other in enumerate(rest) if equal(item, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _lists(tree: Any, path: str) -> Iterator[str]:
    if isinstance(tree, list):
        yield path
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _lists(value, below(path, key))


def difference(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    """Return what makes `new` of `old`: lists as a whole, and the mark GONE for a key that `new` has no longer."""
    patch: dict[str, Any] = {key: GONE for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            if inner := difference(old[key], value):
                patch[key] = inner
        elif not equal(old[key], value):
            patch[key] = value
    return patch


def rewritten(new: Any, old: Any, written: Any) -> Any:
    """Return `new` as the file would say it: what has not changed stays as it was written, `${NAME}` and all.

    `old` is what `written` means. Of an object that includes files, only what changed is written beside `$include`.
    """
    if written is not None and equal(new, old):
        return written
    if isinstance(new, Mapping) and isinstance(old, Mapping) and isinstance(written, Mapping):
        if INCLUDE in written:
            return _beside(new, old, written)
        return {key: rewritten(value, old.get(key), written.get(key)) for key, value in _in_order(new, written)}
    if isinstance(new, list) and isinstance(old, list) and isinstance(written, list) and len(old) == len(written):
        return [_rewritten_item(item, number, old, written) for number, item in enumerate(new)]
    return new


def _in_order(new: JsonObject, written: JsonObject) -> Iterator[tuple[str, Any]]:
    """The members of `new`, those that the file has first and in its order."""
    for key in dict.fromkeys((*(key for key in written if key in new), *new)):
        yield key, new[key]


def _rewritten_item(item: Any, number: int, old: list[Any], written: list[Any]) -> Any:
    place = _place(item, number, old)
    return rewritten(item, old[place], written[place]) if place < len(old) else item


def _beside(new: JsonObject, old: JsonObject, written: JsonObject) -> Any:
    own = {key: value for key, value in written.items() if key == INCLUDE or key in new}
    return _laid(own, {key: value for key, value in difference(old, new).items() if value is not GONE})


def _laid(base: JsonObject, over: JsonObject) -> dict[str, Any]:
    both = {
        key: _laid(base[key], value)
        for key, value in over.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **over, **both}


def read_back(new: Any, old: Any, environ: Mapping[str, str]) -> Any:
    """Return what `new` means once it is written and read: variables are put in where it differs from `old`."""
    if equal(new, old):
        return new
    if isinstance(new, Mapping):
        before = old if isinstance(old, Mapping) else {}
        return {key: read_back(value, before.get(key), environ) for key, value in new.items()}
    if isinstance(new, list):
        olds = old if isinstance(old, list) else []
        return [read_back(item, _old_item(item, number, olds), environ) for number, item in enumerate(new)]
    return substituted(new, environ)[0]


def _old_item(item: Any, number: int, old: list[Any]) -> Any:
    place = _place(item, number, old)
    return old[place] if place < len(old) else None


def _place(item: Any, number: int, old: list[Any]) -> int:
    """Where an item of a list was before: by its id, else where it is now."""
    name = _id(item)
    return next((at for at, other in enumerate(old) if name and _id(other) == name), number)
