"""`@path` in prompts. The expected parts are those that Gemini CLI 0.61.0 sent for the same files and prompts."""

import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.context import lookup, mention
from runtime.context.lookup import MOST_SEARCHES, Access, near
from runtime.context.mention import BEGIN, END, NOTHING, Piece, never_read, split, with_files
from runtime.errors import RemoteError

NOW: Final = 1_800_000_000.0
PNG: Final = b"\x89PNG\r\n\x1a\n\0"
FILES: Final[dict[str, bytes]] = {
    "a.txt": b"hi\n",
    "b.md": b"  bee  \n\nx\n\n",
    "with space.txt": b"spaced",
    "sub/one.md": b"one",
    "sub/two.py": b"two",
    "sub/deep/three.txt": b"three",
    "sub/node_modules/x.txt": b"nm",
    "sub/GEMINI.md": b"memory",
    "img.png": PNG,
    "bin.dat": bytes(range(256)),
    "x.bin": b"\0\1",
    "doc.pdf": b"%PDF-1.4\n",
    "song.mid": b"MThd\0",
    "empty.txt": b"",
    "ignored.log": b"ign",
    "igd/z.txt": b"z",
    "crlf.txt": b"a\r\nb\r\n",
    "bom.txt": b"\xef\xbb\xbfbom",
    ".env": b"SECRET=1",
    "name,comma.txt": b"nc",
    "paren(1).txt": b"p1",
    "GEMINI.md": b"memo",
    "a..b": b"dots",
    "noext": b"ne",
    "q'uote.txt": b"qt",
    "dist/o.js": b"o",
    "media/photo.png": PNG,
    "media/t.txt": b"mt",
}
KINDS: Final = {".png": ("image", "image/png"), ".pdf": ("pdf", "application/pdf"), ".mid": ("audio", "audio/midi")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("work")
    for age, (name, content) in enumerate(FILES.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (NOW - 10**6 - age, NOW - 10**6 - age))
    (root / "hollow").mkdir()
    (root / "out").symlink_to("/")
    (root / "link.txt").symlink_to("a.txt")
    return root


def read(path: str) -> bytes:
    assert os.path.realpath(path) == path
    return Path(path).read_bytes()


def kind(name: str, content: bytes) -> tuple[str, str]:
    return KINDS.get(os.path.splitext(name)[1], ("binary" if b"\0" in content else "text", ""))


def access(root: Path, **more: Any) -> Access:
    def ignored(path: str, *, folder: bool = False) -> bool:
        names = os.path.relpath(path, root).split("/")
        return names[-1] == "ignored.log" or "igd" in (names if folder else names[:-1])

    def refuses(path: str) -> bool:
        real = os.path.realpath(path)
        closed = {"node_modules", ".env"} & set(os.path.relpath(real, root).split("/"))
        return bool(closed) or (real != str(root) and not real.startswith(f"{root}/"))

    usual: dict[str, Any] = {"read": read, "kind": kind, "refuses": refuses, "ignored": ignored, "now": NOW}
    return Access(**{"workspace": str(root), **usual, **more})


def parts(root: Path, prompt: str, **more: Any) -> list[Any]:
    return [part.get("text", part) for part in with_files(prompt, access(root, **more)).parts]


def content(*files: tuple[str, str]) -> list[str]:
    return [BEGIN, *(text for label, body in files for text in (f"\nContent from @{label}:\n", body)), END]


A = ("a.txt", "hi")
SUB = (("sub/deep/three.txt", "three"), ("sub/one.md", "one"), ("sub/two.py", "two"))


@pytest.mark.parametrize(
    ("prompt", "query", "files"),
    [
        ("look at @a.txt please", "look at @a.txt please", [A]),
        ("@a.txt @b.md", "@a.txt @b.md", [A, ("b.md", "bee  \n\nx")]),
        ("see @a.txt.", "see @a.txt.", [A]),
        ("@a.txt, ok?", "@a.txt, ok?", [A]),
        ("@a.txt!", "@a.txt!", [A]),
        ("(@a.txt)", "( @a.txt)", [A]),
        ("@nosuch.txt and @a.txt", "@nosuch.txt and @a.txt", [A]),
        ("mail me@a.txt now", "mail me @a.txt now", [A]),
        (r"@with\ space.txt x", "@with space.txt x", [("with space.txt", "spaced")]),
        ("@sub", "@sub/**", SUB),
        ("@sub/", "@sub/**", SUB),
        ("@./sub/deep", "@sub/deep/**", [SUB[0]]),
        ("@sub @a.txt", "@sub/** @a.txt", [A, *SUB]),
        ("@sub @sub/one.md", "@sub/** @sub/one.md", SUB),
        ("@./a.txt", "@./a.txt", [("./a.txt", "hi")]),
        ("@a.txt @a.txt", "@a.txt @a.txt", [A]),
        ("@a.txt\n@b.md", "@a.txt @b.md", [A, ("b.md", "bee  \n\nx")]),
        ("line1\n\n@a.txt", "line1\n\n @a.txt", [A]),
        ("  lead @a.txt  trail  ", "lead @a.txt  trail", [A]),
        ("/help @a.txt", "/help @a.txt", [A]),
        ("@crlf.txt", "@crlf.txt", [("crlf.txt", "a\nb")]),
        ("@bom.txt", "@bom.txt", [("bom.txt", "bom")]),
        ("@bin.dat", "@bin.dat", [("bin.dat", "Cannot display content of binary file: bin.dat")]),
        (r"@paren\(1\).txt", "@paren(1).txt", [("paren(1).txt", "p1")]),
        ("@a..b", "@a..b", [("a..b", "dots")]),
        ("@noext", "@noext", [("noext", "ne")]),
        ("@q'uote.txt", "@q'uote.txt", [("q'uote.txt", "qt")]),
        ("@link.txt", "@link.txt", [("link.txt", "hi")]),
        ("@media", "@media/**", [("media/t.txt", "mt")]),
        # The nearest name stands in for one that is not there.
        ("@two", "@sub/two.py", [("two", "two")]),
        ("@TWO", "@sub/two.py", [("TWO", "two")]),
        ("@sub/on", "@sub/one.md", [("sub/on", "one")]),
        ("@s*b/one", "@sub/one.md", [("s*b/one", "one")]),
        ("@name,comma.txt", "@name,comma.txt,comma.txt", [("name", "nc")]),
        ("@paren(1).txt", "@paren(1).txt(1).txt", [("paren", "p1")]),
    ],
)
def test_the_content_of_what_is_mentioned_follows_the_prompt(
    root: Path, prompt: str, query: str, files: list[tuple[str, str]]
) -> None:
    assert parts(root, prompt) == [query, *content(*files)]


def test_an_absolute_path_is_shown_as_the_one_from_the_workspace(root: Path) -> None:
    assert parts(root, f"@{root}/a.txt") == ["@a.txt", *content(A)]
    assert parts(root, f"@{root}/sub") == ["@sub/**", *content(*SUB)]


@pytest.mark.parametrize(
    "prompt",
    [
        "no mention at all",
        "",
        "@nosuch.txt hi",
        "a.b@c.com",
        '@"with space.txt" x',
        "@",
        "@ a.txt",
        r"\@a.txt",
        "@@a.txt",
        "@a.txt@b.md",
        "@'a.txt'",
        "`@a.txt`",
        "@a.txt:3",
        "@sub/one.md#L1",
        "@/etc/hostname",
        "@../x.txt",
        "@out",
        "@out/etc/hostname",
        "@~/x",
        "@ignored.log",
        "@sub/node_modules",
        "@a\0b",
        "@\ud800",
        f"@{'x' * 300}",
        f"@{'x/' * 3000}",
        '@"a quoted path that is long"',
        "@" + "AssertionError: x".replace(" ", r"\ "),
    ],
)
def test_a_prompt_that_mentions_nothing_that_may_be_read_stays_as_it_is(root: Path, prompt: str) -> None:
    found = with_files(prompt, access(root))
    assert found == (({"text": prompt},), (), ())


@pytest.mark.parametrize(
    ("prompt", "query"),
    [
        ("@x.bin", "@x.bin"),
        ("@.env", "@.env"),
        ("@GEMINI.md", "@GEMINI.md"),
        ("@sub/GEMINI.md", "@sub/GEMINI.md"),
        ("@dist", "@dist/**"),
        ("@dist/o.js", "@dist/o.js"),
        ("@igd", "@igd/**"),
        ("@hollow", "@hollow/**"),
        ("@song.mid", "@song.mid"),
    ],
)
def test_what_is_never_read_leaves_a_word_that_nothing_was_found(root: Path, prompt: str, query: str) -> None:
    assert parts(root, prompt) == [query, BEGIN, NOTHING]


def test_an_empty_file_has_a_heading_and_no_part_of_its_own(root: Path) -> None:
    assert parts(root, "@empty.txt") == ["@empty.txt", BEGIN, "\nContent from @empty.txt:\n", END]


@pytest.mark.parametrize(
    ("name", "mime", "data"), [("img.png", "image/png", "iVBORw0KGgoA"), ("doc.pdf", "application/pdf", "JVBERi0xLjQK")]
)
def test_pictures_and_documents_travel_as_data_without_a_heading(root: Path, name: str, mime: str, data: str) -> None:
    inline = {"inlineData": {"data": data, "mimeType": mime}}
    assert parts(root, f"@{name} what") == [f"@{name} what", BEGIN, inline, END]


def test_a_memory_file_of_another_name_is_the_one_left_alone(root: Path) -> None:
    assert parts(root, "@GEMINI.md", memory_name="AGENTS.md")[2:4] == ["\nContent from @GEMINI.md:\n", "memo"]


def test_without_search_a_name_must_be_exact(root: Path) -> None:
    assert parts(root, "@two", search=False) == ["@two"]


def test_of_recent_files_the_newest_is_nearest_and_of_old_ones_the_first(tmp_path: Path) -> None:
    for name, age in (("b-thing", 10**6), ("a-thing", 10**7), ("z-thing", 50), ("y-thing", 90)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (NOW - age, NOW - age))
    assert parts(tmp_path, "@thing")[0] == "@z-thing"
    assert parts(tmp_path, "@thing", now=NOW + 10**8)[0] == "@a-thing"


def test_what_was_read_and_what_was_not_is_reported(root: Path) -> None:
    found = with_files("@a.txt @.env @song.mid @media", access(root))
    assert found.read == ("a.txt", "media/t.txt")
    assert dict(found.skipped).keys() == {".env", "song.mid", "media/photo.png"}


@pytest.mark.parametrize("trouble", [PermissionError(13, "Permission denied"), RemoteError("not today")])
def test_a_file_that_cannot_be_read_is_left_out_and_the_rest_is_there(root: Path, trouble: Exception) -> None:
    def failing(path: str) -> bytes:
        if path.endswith("b.md"):
            raise trouble
        return read(path)

    found = with_files("@a.txt @b.md", access(root, read=failing))
    assert [part["text"] for part in found.parts] == ["@a.txt @b.md", *content(A)]
    assert found.skipped == (("b.md", getattr(trouble, "strerror", None) or "not today"),)


def test_below_a_folder_what_is_refused_or_ignored_is_left_out(root: Path) -> None:
    def refuses(path: str) -> bool:
        return path.endswith("two.py")

    found = with_files("@sub @igd/z.txt", access(root, refuses=refuses))
    assert found.read == ("sub/deep/three.txt", "sub/one.md")
    assert ("sub/two.py", "outside of what may be read") in found.skipped


@given(
    name=st.text(alphabet="ab*?/", min_size=1, max_size=6),
    path=st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join),
)
def test_a_name_stands_in_a_path_if_its_pieces_do_in_order(name: str, path: str) -> None:
    plain = re.escape(name).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    assert bool(near(name).search(path)) is bool(re.search(rf"(?:^|/)[^/]*{plain}[^/]*\Z", path))


def test_many_stars_and_a_long_path_cost_no_more_than_few() -> None:
    assert near("*a" * 60 + "b").search("a" * 250) is None


def test_a_search_looks_at_so_many_names_and_no_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MOST_NAMES", 0)
    assert parts(root, "@two") == ["@two"]


def test_a_pipe_is_not_opened_by_its_name_or_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "sub" / "pipe")
    (tmp_path / "sub" / "z").write_text("z")
    found = with_files("@sub/pipe @sub", access(tmp_path))
    assert [part["text"] for part in found.parts] == ["@sub/pipe @sub/**", *content(("sub/z", "z"))]
    assert found.skipped == (("sub/pipe", "not a regular file"),)


def test_a_folder_of_too_many_files_is_cut_and_the_model_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mention, "MOST_FILES", 2)
    for name in "abcde":
        (tmp_path / name).write_text(name)
    texts = parts(tmp_path, "@./")
    assert texts[1:6] == content(("a", "a"), ("b", "b"))[:5]
    assert texts[-2:] == ["\n[3 more files were left out: they are too many or too large for one prompt.]", END]


def test_files_that_are_too_large_together_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mention, "MOST_BYTES", 10)
    for name in "abc":
        (tmp_path / name).write_text(name * 4)
    found = with_files("@a @b @c", access(tmp_path))
    assert found.read == ("a", "b")
    assert "1 more files" in found.parts[-2]["text"]


def test_one_file_that_is_too_large_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mention, "LARGEST", 2)
    assert parts(root, "@a.txt") == ["@a.txt", BEGIN, NOTHING]


def test_mentions_and_searches_beyond_the_bounds_are_text(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = " ".join(f"@no-{number}" for number in range(MOST_SEARCHES))
    assert parts(root, f"{many} @two") == [f"{many} @two"]
    assert parts(root, f"{many} @a.txt") == [f"{many} @a.txt", *content(A)]
    monkeypatch.setattr(mention, "MOST_MENTIONS", 1)
    assert parts(root, "@a.txt @b.md") == ["@a.txt @b.md", *content(A)]


def test_a_pipe_of_many_packages_is_searched_for_once(root: Path) -> None:
    prompt = "\n".join(f'"@babel/core-{number}": "1"' for number in range(500))
    assert with_files(prompt, access(root)).parts == ({"text": prompt},)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a @b c", [Piece("a "), Piece("b", True), Piece(" c")]),
        ("@b. ", [Piece("b", True), Piece(". ")]),
        ("@b.c.", [Piece("b.c", True), Piece(".")]),
        ("@...", [Piece("..", True), Piece(".")]),
        ('@"a b"c', [Piece('"a b"c', True)]),
        ('@a" b', [Piece('a"', True), Piece(" b")]),
        (r"@a\ b\@c", [Piece("a b@c", True)]),
        ("@a\u00a0b", [Piece("a\u00a0b", True)]),
        (" \n@a\ufeff\t", [Piece("a\ufeff", True)]),
        ("@a\\\n", [Piece("a\\", True)]),
    ],
)
def test_a_prompt_is_divided_at_its_mentions(text: str, pieces: list[Piece]) -> None:
    assert split(text) == pieces


@given(st.text(alphabet='@ab.\\ "\n,()', max_size=30))
def test_dividing_a_prompt_loses_nothing_but_space_and_backslashes(text: str) -> None:
    again = "".join(f"@{piece.text}" if piece.mention else piece.text for piece in split(text))
    assert "".join(again.replace("\\", "").split()) == "".join(text.replace("\\", "").split())


@given(st.text(alphabet='@ab./\\ "*?[]{}\n\0', max_size=30))
def test_any_prompt_gives_parts_that_begin_with_text(text: str) -> None:
    found = with_files(text, access(Path("/nonexistent")))
    assert found.parts == ({"text": text},)


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("a.py", False),
        ("src/build.py", False),
        ("build/a.py", True),
        ("a/Node_Modules/b.js", True),
        ("a/.ENV", True),
        (".env.example", False),
        ("gemini.MD", True),
        ("x.TAR", True),
        ("zip", False),
        ("../other/a.py", False),
    ],
)
def test_some_paths_are_never_read(path: str, closed: bool) -> None:
    assert never_read(path) is closed
