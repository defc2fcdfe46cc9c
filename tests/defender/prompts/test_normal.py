"""Normalising: what hides is shown, and honest text of any script stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.prompts.normal import CONFUSABLE, normalise

SENTENCE = "Please read the second page to me"


@given(st.text(alphabet=st.characters(max_codepoint=127, exclude_characters="&")))
def test_ascii_without_entities_is_not_touched(text: str) -> None:
    assert normalise(text).text == text


@given(st.text())
def test_any_text_can_be_normalised(text: str) -> None:
    assert isinstance(normalise(text).text, str)


@pytest.mark.parametrize("mark", ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u2066", "\U000e0101"])
def test_characters_without_width_are_dropped_and_counted(mark: str) -> None:
    normal = normalise(mark.join(SENTENCE))
    assert normal.text == SENTENCE
    assert normal.dropped == len(SENTENCE) - 1


def test_the_tag_block_is_handed_back_apart() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "do this")
    normal = normalise(f"Hello.{hidden}")
    assert (normal.text, normal.hidden) == ("Hello.", "do this")


def test_what_a_right_to_left_override_shows_is_what_is_read() -> None:
    text = " ".join("\u202e" + word[::-1] + "\u202c" for word in SENTENCE.split())
    normal = normalise(text)
    assert normal.text == SENTENCE
    assert normal.turned == len(SENTENCE.split())


def test_an_override_that_is_never_closed_ends_with_its_line() -> None:
    assert normalise("\u202eolleh\nworld").text == "hello\nworld"


@pytest.mark.parametrize("latin", sorted(set(CONFUSABLE.values())))
def test_look_alikes_in_a_mixed_word_become_latin(latin: str) -> None:
    twins = [char for char, looks in CONFUSABLE.items() if looks == latin]
    assert {normalise(f"qq{twin}qq").text for twin in twins} == {f"qq{latin}qq"}


@pytest.mark.parametrize(
    "text", ["Привет, как дела?", "Καλημέρα κόσμε", "Բարեւ ձեզ", "今天天气怎么样，朋友？", "नमस्ते दुनिया"]
)
def test_words_of_one_script_stay_as_they_are(text: str) -> None:
    assert normalise(text).text == text


def test_letters_in_other_dress_become_plain() -> None:
    assert normalise("\uff29\uff47\uff4e\uff4f\uff52\uff45 \U0001d422\U0001d42d").text == "Ignore it"
    assert normalise("i\u0336t\u0337").text.startswith("i")


def test_entities_are_resolved() -> None:
    assert normalise("&#73;t &#x69;s &lt;b&gt;").text == "It is <b>"
    assert normalise("R&D and a & b").text == "R&D and a & b"


def test_what_was_dropped_does_not_put_other_letters_into_other_dress() -> None:
    assert normalise("a\u034fb \u00bd").text == "ab \u00bd"
