"""Hashing: the fast way gives what a plain loop gives, and folds what it says it folds."""

import zlib
from hashlib import shake_256

from hypothesis import given
from hypothesis import strategies as st

from defender.prompts.ngrams import SEGMENT, SLOTS, canonical, chains, grams, segments, slots, words


def fold(code: int) -> int:
    """What a byte counts as."""
    char = chr(code)
    if "A" <= char <= "Z":
        return ord(char.lower())
    if "0" <= char <= "9":
        return ord("0")
    return 32 if code <= 32 or code == 127 else code


def slot(gram: bytes) -> int:
    """The slot of one gram, byte for byte."""
    made = 0
    for half in (0, 1):
        part = 0
        for place, code in enumerate(gram):
            part ^= shake_256(b"twinstep %d %d %d" % (len(gram), place, half)).digest(256)[fold(code)]
        made |= part << (8 * half)
    return made


@given(st.binary(max_size=60), st.integers(2, 6))
def test_the_slots_of_grams_are_those_of_a_plain_loop(text: bytes, order: int) -> None:
    assert grams(text, order) == [slot(text[at : at + order]) for at in range(len(text) - order + 1)]


def test_case_and_digits_do_not_matter() -> None:
    assert grams(b"Page 12 of", 5) == grams(b"pAGE 98 OF", 5)
    assert words(b"Page-12, (of)") == [b"page", b"00", b"of"]


def test_words_are_chained_checksums() -> None:
    found = [b"one", b"two", b"three"]
    made = chains(found, ("w1", "w2", "w3"))
    assert made["w1"] == [zlib.crc32(word) % SLOTS for word in found]
    assert made["w2"] == [zlib.crc32(b"onetwo") % SLOTS, zlib.crc32(b"twothree") % SLOTS]
    assert made["w3"] == [zlib.crc32(b"onetwothree") % SLOTS]


@given(st.text(max_size=3_000))
def test_segments_cover_every_gram_of_a_text(text: str) -> None:
    form = canonical(text)
    parts = slots(form, ("c5", "w1"))
    assert len(parts) == segments(len(form)) <= len(form) // SEGMENT + 1
    assert set[int]().union(*(part[0] for part in parts)) == set(grams(form, 5))
    assert set[int]().union(*(part[1] for part in parts)) == set(chains(words(form), ())["w1"])


def test_a_lone_surrogate_has_a_canonical_form() -> None:
    assert canonical("a \ud800 b") == b"a ? b"
