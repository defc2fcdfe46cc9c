"""Which model answers for a session, and what clients are told of it."""

import pytest

from runtime.gateway.entries import Entry
from runtime.gateway.models import OUTPUT, WINDOW, Model, Models, models_of

ONE, TWO = Model("one", "One", window=1_000), Model("two", "Two", reasoning=True)


def models(primary: str = "google/one") -> Models:
    return Models({"one": ONE, "two": TWO}, primary, {"main": {}, "other": {"model": "google/two"}})


def entry(agent: str = "main", model: str | None = None) -> Entry:
    return Entry("agent:main:main", "s", "r", agent, 1, 1, model=model)


@pytest.mark.parametrize(
    ("agent", "own", "answering"),
    [
        ("main", None, ("google", "one", 1_000)),
        ("other", None, ("google", "two", WINDOW)),
        ("nobody", None, ("google", "one", 1_000)),
        ("other", "one", ("google", "one", 1_000)),
        ("main", "google/two", ("google", "two", WINDOW)),
        ("main", "google/new", ("google", "new", WINDOW)),
        ("main", "new", ("google", "new", WINDOW)),
    ],
)
def test_a_session_is_answered_by_its_own_model_then_its_agents_then_the_default(
    agent: str, own: str | None, answering: tuple[str, str, int]
) -> None:
    assert models().of(entry(agent, own)) == answering


def test_the_default_model_is_marked() -> None:
    rows = models().list()
    assert [(one["id"], one["tags"]) for one in rows] == [("one", ["default"]), ("two", [])]
    assert [one["reasoning"] for one in rows] == [False, True]
    assert all(one["available"] for one in rows)


def test_a_provider_that_cannot_be_asked_makes_no_model_available() -> None:
    made = models()
    made.ready = False
    assert not any(one["available"] for one in made.list())


@pytest.mark.parametrize(
    ("primary", "name", "window"),
    [("google/one", "one", 1_000), ("one", "one", 1_000), ("google/x", "x", WINDOW)],
)
def test_a_new_session_would_have_the_default(primary: str, name: str, window: int) -> None:
    told = models(primary).defaults()
    assert (told["modelProvider"], told["model"], told["contextTokens"]) == ("google", name, window)


def test_models_are_those_of_the_configuration_and_the_default_one() -> None:
    listed = {
        "models": [
            {"id": "a", "name": "A", "contextWindow": 5, "maxTokens": 3, "reasoning": True, "input": ["text", "image"]},
            {"id": "b"},
            {"name": "nameless"},
        ]
    }
    found = models_of(listed, "google/c")
    assert found == {
        "a": Model("a", "A", window=5, output=3, reasoning=True, input=("text", "image")),
        "b": Model("b", "b", window=WINDOW, output=OUTPUT, input=("text",)),
        "c": Model("c", "c"),
    }
    assert models_of({}, "d") == {"d": Model("d", "d")}
    assert models_of(listed, "b")["b"].input == ("text",)
