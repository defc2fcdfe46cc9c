"""What an answer carries away: each rule finds its example, and ordinary answers have none of it."""

import pytest

from defender.engine.replies import ROWS, Row, assess, carries
from runtime.vocab import Decision


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_every_rule_finds_its_example(row: Row) -> None:
    found = assess(f"Here it is.\n\n{row.example}\n\nAnything else?")
    assert row.rule in [signal.rule for signal in found.signals]
    assert found.decision in (row.floor, Decision.BLOCK)


@pytest.mark.parametrize(
    "text",
    [
        "See [the documentation](https://docs.example/en/stable/reference/api.html#section-2).",
        "![build](https://badges.example/build-passing-brightgreen.svg)",
        "![logo](https://site.example/static/img/logo.png?v=3)",
        "[search](https://search.example/?q=trio)",
        "<img src='cat.png'> is a tag.",
        "[a]: https://site.example/page\n[b]: ./local.md",
        "Set AKIA as a prefix; keys begin with ghp_ there.",
        "no markup at all",
        "",
    ],
)
def test_ordinary_answers_carry_nothing(text: str) -> None:
    assert assess(text).signals == ()


@pytest.mark.parametrize(
    ("url", "does"),
    [
        ("https://a.example/", False),
        ("https://a.example/x?page=2&sort=asc", False),
        ("https://a.example/x?d=VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI", True),
        ("https://a.example/x?d=the%20password%20is%20hunter2", True),
        ("https://a.example/VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjIgYW5kIHRoZSBwaW4gaXMgNDcxMQ/p.png", True),
        ("https://a.example/#VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI", True),
        ("https://VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI.a.example/", True),
        ("https://[broken", True),
        ("https://a.example/a-long-title-of-an-article-about-the-harbour-in-winter-and-spring", False),
    ],
)
def test_an_address_carries_data_where_it_holds_text_or_code(url: str, does: bool) -> None:
    assert carries(url) is does


def test_a_secret_is_not_repeated_in_the_evidence() -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    (signal,) = assess(f"use {key}").signals
    assert key not in signal.evidence


def test_a_long_hostile_answer_takes_no_longer_than_its_length() -> None:
    assess("![" * 100_000)
    assess("<img " * 50_000)
    assess("[x](" * 60_000 + "https://a.example")
