"""What is loaded: callables that were replaced, hooks and modules from elsewhere. All on modules made for the test."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from defender.integrity import loaded
from defender.integrity.loaded import CRITICAL, Callables, elsewhere, found


def module(name: str = "judging") -> types.ModuleType:
    made = types.ModuleType(name)

    def judge() -> bool:
        return False

    made.judge = judge  # type: ignore[attr-defined]
    return made


def other(*args: Any) -> bool:
    return True


def changes(watched: Callables) -> list[str]:
    return [one.what for one in watched.changes()]


def test_a_callable_that_was_replaced_is_named() -> None:
    made = module()
    watched = Callables({"judging": made}, ("judging.judge",))
    assert changes(watched) == []
    made.judge = other  # type: ignore[attr-defined]
    assert changes(watched) == ["was replaced while the program runs"]


def test_a_function_that_runs_other_code_is_named() -> None:
    made = module()
    watched = Callables({"judging": made}, ("judging.judge",))
    made.judge.__code__ = (lambda: True).__code__
    assert changes(watched) == ["runs other code than it did"]


def test_a_module_that_was_loaded_later_is_learned() -> None:
    modules: dict[str, types.ModuleType] = {}
    watched = Callables(modules, ("judging.judge",))
    modules["judging"] = module()
    assert changes(watched) == []
    modules["judging"].judge = other  # type: ignore[attr-defined]
    assert changes(watched) == ["was replaced while the program runs"]


def test_a_module_that_was_taken_away_is_named() -> None:
    modules = {"judging": module()}
    watched = Callables(modules, ("judging.judge",))
    del modules["judging"]
    assert changes(watched) == ["was replaced while the program runs"]


def test_the_callables_of_this_process_are_their_own() -> None:
    import json
    import socket
    import ssl
    import subprocess

    import trio

    assert all((json, socket, ssl, subprocess, trio))
    assert [one.path for one in Callables().strangers()] == []


def test_a_callable_that_was_replaced_before_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.loads", other)
    assert [one.path for one in Callables().strangers()] == ["json.loads"]


def test_the_names_of_critical_callables_mean_something() -> None:
    missing = [name for name in CRITICAL if name.partition(".")[0] in ("builtins", "os") and not is_there(name)]
    assert missing == []


def is_there(name: str) -> bool:
    return found(name, sys.modules) is not None


def test_an_import_hook_of_a_stranger_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        pass

    before = loaded.hooks()
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert set(loaded.hooks()) - set(before) == {f"{__name__}.{Finder.__qualname__}"}


def test_a_module_from_a_folder_that_nobody_watches_is_named(tmp_path: Path) -> None:
    made = module()
    made.__file__ = str(tmp_path / "judging.py")
    modules = {"judging": made, "built_in": types.ModuleType("built_in"), "__main__": made}
    assert [one.path for one in elsewhere(lambda path: False, modules)] == ["judging"]
    assert [*elsewhere(lambda path: True, modules)] == []
