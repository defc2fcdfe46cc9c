"""JavaScript's regular expressions for Python's engine."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools.patterns import BadPattern, fault, translated


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "Unterminated group"), (")", "Unmatched ')'"), ("[a", "Unterminated character class"),
        ("a**", "Nothing to repeat"), ("*a", "Nothing to repeat"), ("a++", "Nothing to repeat"),
        ("a{1}+", "Nothing to repeat"), ("[z-a]", "Range out of order in character class"),
        ("\\", "\\ at end of pattern"), ("a{2,1}", "numbers out of order in {} quantifier"),
        ("(?i)a", "Invalid group"), ("(?P<a>b)", "Invalid group"), ("(?>a)", "Invalid group"),
        ("(?<a>x)(?<a>y)", "Duplicate capture group name"), ("(?<1>a)", "Invalid capture group name"),
        ("x" * 10_001, "Regular expression too large"), ("(" * 5000 + ")" * 5000, "Regular expression too large"),
    ],
)  # fmt: skip
def test_what_javascript_refuses_is_refused_in_its_words(pattern: str, words: str) -> None:
    assert fault(pattern) == f"Invalid regular expression: /{pattern}/: {words}"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"(?<n>ab)\k<n>", ["abab"], ["ab"]),
        (r"[]", [], ["", "a"]),
        (r"a[^]b", ["a\nb"], ["ab"]),
        (r"[[]", ["["], ["a"]),
        (r"[\d-x]", ["1", "-", "x"], ["b"]),
        (r"[a-\d]", ["a", "-", "1"], ["b"]),
        (r"[--a]", ["-", "5"], ["z"]),
        (r"[a&&b]", ["&"], ["c"]),
        (r"a{,3}", ["a{,3}"], ["aaa"]),
        (r"\p{L}", ["p{L}"], ["q"]),
        (r"\x41\u0042\cA", ["AB\x01"], ["ab"]),
        (r"\A\Z\y", ["AZy"], [""]),
        (r"(a)\1\2", ["aa\x02"], ["aa"]),
        (r"\/x", ["/x"], ["x"]),
        (r"\<w\>", ["a w b"], ["aw"]),
        (r"a}", ["a}"], ["a"]),
        (r"foo(?=bar)", ["foobar"], ["foo"]),
        (r"[\]]", ["]"], ["["]),
    ],
)
def test_patterns_mean_what_they_mean_in_javascript(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = re.compile(translated(pattern))
    assert [text for text in yes if not compiled.search(text)] == []
    assert [text for text in no if compiled.search(text)] == []


@given(st.text("ab()[]{}*+?|\\^$.-1,<>=!:dwkx0&~", max_size=14))
def test_every_pattern_is_translated_or_refused(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fault(pattern)
        if found is None:
            re.compile(translated(pattern))
            return
    with pytest.raises(BadPattern) as refused:
        translated(pattern)
    assert found == f"Invalid regular expression: /{pattern}/: {refused.value}"
