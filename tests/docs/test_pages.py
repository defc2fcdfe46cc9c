"""How pages are read, in small: the rules that the other tests of this folder rely on."""

from pathlib import Path

from tests.docs.pages import Block, Command, commands, fits, read, slug


def test_a_block_is_run_only_when_its_page_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# A\n```console run status=2\n$ false\n```\n````python run\n```\n````\n```sh\nrm x\n```\n")
    page = read(path)
    assert [block.runs for block in page.blocks] == [True, False, False]
    assert page.blocks[0].option("status") == "2"
    assert not page.blocks[0].stays
    assert Block(("console", "run", "background", "port=1"), 1, ()).stays
    assert page.blocks[1].lines == ("```",)
    assert page.prose == ((1, "# A"),)


def test_a_console_block_is_commands_with_what_they_print() -> None:
    block = Block(("console", "run"), 5, ("$ cat <<X", "> a", "> X", "a", "$ true"))
    assert commands(block) == (Command("cat <<X\na\nX", 5, ("a",)), Command("true", 9, ()))


def test_a_block_without_a_prompt_is_one_script_that_may_print_anything() -> None:
    assert commands(Block(("sh", "run"), 2, ("cd /", "pwd"))) == (Command("cd /\npwd", 2, ("...",)),)


def test_three_dots_stand_for_text_in_a_line_and_for_lines_when_alone() -> None:
    assert fits(("one", "...", "last ... of ..."), "one\n2\n3\nlast 4 of 4\n")
    assert fits(("one", "..."), "one\n")
    assert fits((), "")
    assert not fits(("one",), "one\ntwo\n")
    assert not fits((), "one\n")
    assert not fits(("a.c",), "abc\n")


def test_an_anchor_is_the_heading_in_lower_case_without_marks() -> None:
    assert slug("What `advance` does, and doesn't") == "what-advance-does-and-doesnt"


def test_links_in_code_are_no_links(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("[a](b.md#c) `[x](y)` ![i](p.png)\n```\n[z](z)\n```\n")
    assert read(path).links == ((1, "b.md#c"), (1, "p.png"))
