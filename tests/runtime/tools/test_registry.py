"""The registry: names, old names, near names; and that it imports nothing early."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.ports import Tool
from runtime.tools.declarations import READ_FILE, SPECS
from runtime.tools.registry import Registry, distance, unknown
from runtime.vocab import EffectClass
from tests.runtime.tools.world import World

NAMES = [
    "update_topic", "list_directory", "read_file", "grep_search", "glob", "replace", "write_file", "web_fetch",
    "run_shell_command", "list_background_processes", "read_background_output", "google_web_search",
    "enter_plan_mode", "invoke_agent", "activate_skill",
]  # fmt: skip


def test_every_declared_tool_can_be_fetched_and_says_what_was_declared() -> None:
    registry = Registry()
    fetched = [registry.get(spec.name) for spec in SPECS]
    assert [tool.spec if tool else None for tool in fetched] == list(SPECS)
    assert registry.get("read_file") is registry.get("read_file")


def test_an_old_name_runs_but_is_not_listed() -> None:
    registry = Registry()
    assert registry.get("search_file_content") is registry.get("grep_search")
    assert "search_file_content" not in registry.toolset().names


def test_a_name_that_is_not_there_gives_nothing() -> None:
    assert Registry().get("make_coffee") is None
    assert Registry().spec("make_coffee") is None


def test_only_what_the_judge_offers_is_in_the_toolset() -> None:
    toolset = Registry().toolset(lambda spec: spec.kind == "edit")
    assert toolset.names == ("replace", "write_file")
    assert toolset.serial == toolset.names
    assert toolset.effects == {"replace": "compensable", "write_file": "idempotent"}
    assert [declaration["name"] for declaration in json.loads(toolset.declarations)] == list(toolset.names)


def test_effects_and_kinds_are_those_that_the_policy_counts_on() -> None:
    specs = {spec.name: spec for spec in SPECS}
    pure = {name for name, spec in specs.items() if spec.effect is EffectClass.PURE}
    assert pure == {"read_file", "list_directory", "glob", "grep_search"}
    assert specs["run_shell_command"].effect is EffectClass.IRREVERSIBLE
    assert specs["google_web_search"].kind == "read"
    assert specs["web_fetch"].kind == "fetch"


def test_an_extra_tool_is_listed_last_and_may_take_the_place_of_a_built_in_one(world: World) -> None:
    class Other:
        spec = evolve(READ_FILE, name="other")
        check = world.tool("read_file").check
        run = world.tool("read_file").run

    class Mine(Other):
        spec = evolve(READ_FILE, description="mine")

    extra: Sequence[Tool] = (Other(), Mine())
    registry = Registry(extra)
    assert registry.specs()[-1].name == "other"
    assert registry.get("read_file") is extra[1]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("make_coffee", ' Did you mean one of: "read_file", "write_file", "update_topic"?'),
        ("read_fil", ' Did you mean one of: "read_file", "write_file", "replace"?'),
        ("ask_user", ' Did you mean one of: "replace", "read_file", "grep_search"?'),
    ],
)
def test_near_names_are_those_that_were_recorded(name: str, hint: str) -> None:
    assert unknown(name, NAMES) == f'Tool "{name}" not found.{hint}'


def test_one_known_name_or_none_gives_a_shorter_sentence() -> None:
    assert unknown("x", ["glob"]) == 'Tool "x" not found. Did you mean "glob"?'
    assert unknown("x", []) == 'Tool "x" not found.'


@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_the_distance_is_a_metric(one: str, two: str, three: str) -> None:
    assert distance(one, two) == distance(two, one)
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)


def test_building_the_registry_imports_no_tool() -> None:
    script = (
        "import sys; from runtime.tools.registry import Registry; Registry().toolset();"
        "print(sorted(name for name in sys.modules if name.startswith('runtime.tools.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['runtime.tools.declarations', 'runtime.tools.flows', 'runtime.tools.registry']"
