"""Patterns for names and paths: what fits, and that no pattern is expensive."""

import fnmatch
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools import collation, wildcards


def fits(pattern: str, path: str, *, ignore_case: bool = True) -> bool:
    """Whether a glob fits a path."""
    alternatives = wildcards.glob(pattern, ignore_case=ignore_case)
    return any(wildcards.fits(segments, path.split("/")) for segments in alternatives)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.md", ["a.md", ".md", "A.MD"], ["a/b.md", "a.mdx"]),
        ("**/*.md", ["a.md", "a/b/c.md"], ["a/b.mdx"]),
        ("src/**", ["src/a", "src/a/b"], ["src", "lib/a"]),
        ("src/**/x.py", ["src/x.py", "src/a/b/x.py"], ["src/a/xx.py"]),
        ("**", ["a", "a/b"], []),
        ("a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c"], ["a/c", "a/b"]),
        ("*.{ts,tsx}", ["a.ts", "a.tsx"], ["a.js", "a.{ts,tsx}"]),
        ("{a,b{c,d}}/x", ["a/x", "bc/x", "bd/x"], ["b/x"]),
        ("f{1..3}", ["f1", "f3"], ["f4"]),
        ("[ab]?", ["ax", "by"], ["cx", "a"]),
        ("[!ab]", ["c"], ["a"]),
        ("[[:digit:]]x", ["5x"], ["ax"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[a", ["[a"], ["a"]),
        ("{a", ["{a"], ["a"]),
        ("\\*", ["*"], ["a"]),
        ("*.@(js|ts)", ["a.js", "a.ts"], ["a.py"]),
        ("a?(b|c)", ["a", "ab", "ac"], ["abc"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
        ("./a", ["a"], []),
        ("../a", [], ["a", "../a"]),
        ("a/", [], ["a"]),
        ("", [], ["", "a"]),
    ],
)
def test_globs_fit_what_they_say(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not fits(pattern, path)] == []
    assert [path for path in no if fits(pattern, path)] == []


def test_case_counts_when_it_is_asked_for() -> None:
    assert fits("*.TXT", "a.txt")
    assert not fits("*.TXT", "a.txt", ignore_case=False)


@given(st.text("ab*?[]!-", max_size=10), st.text("ab-", max_size=6))
def test_one_name_fits_as_the_standard_library_has_it(pattern: str, name: str) -> None:
    if "\\" not in pattern and "[" not in pattern:
        assert bool(wildcards.compiled(pattern).fullmatch(name)) == fnmatch.fnmatchcase(name, pattern)


@given(st.text("ab*?.(){}|[]!,\\/@+", max_size=30), st.text("ab./", max_size=12))
def test_no_pattern_breaks_the_reader(pattern: str, path: str) -> None:
    fits(pattern, path)
    wildcards.simple(pattern).fullmatch(path)


@given(st.text("ab*?.(){}|[]!,\\@+-", min_size=1, max_size=12))
def test_an_escaped_name_fits_itself_alone(name: str) -> None:
    assert fits(wildcards.escaped(name), name) or name in (".", "..")
    assert not fits(wildcards.escaped(name), name + "x")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 120 + "b", "a" * 255),
        ("**/" * 60 + "x", "/".join("a" * 60)),
        ("{a,b}" * 40, "a" * 40),
        ("[[:alpha:]]*" * 60 + "!", "a" * 250),
        ("{" * 2000, "a"),
        ("@(a|b)" * 600, "a"),
        ("{1..99999}" * 90, "a"),
        ("@(" + "|" * 4000, "a"),
    ],
)
def test_hostile_patterns_cost_little(pattern: str, path: str) -> None:
    # No clock: a pattern that backtracked would not come back at all.
    fits(pattern, path)
    wildcards.simple(pattern).fullmatch(path)


def test_names_are_sorted_as_people_sort_them() -> None:
    names = "_x .x ä a_b a-b a.b a1 a10 a2 ab aB Ab AB ab-1.txt ab.txt b B e E é É f z".split()
    assert ordered(reversed(names)) == names


def ordered(names: Iterable[str]) -> list[str]:
    """Names in the order of a listing."""
    return sorted(names, key=collation.key)
