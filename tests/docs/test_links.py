"""Links inside the project lead somewhere, and every page of docs/ can be found from its index."""

import pytest

from tests.docs.pages import ROOT, Page, pages, read

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_of_a_page_resolves(page: Page) -> None:
    broken = [f"{page.name}:{line} {target}" for line, target in page.links if not resolves(page, target)]
    assert broken == []


def resolves(page: Page, target: str) -> bool:
    """Whether a link leads to a file of the project and, with `#`, to a heading in it. Hosts are not asked."""
    if target.startswith(("https://", "http://", "mailto:")):
        return True
    file, _, anchor = target.partition("#")
    path = (page.path.parent / file).resolve() if file else page.path
    if not path.is_relative_to(ROOT) or not path.exists():
        return False
    return not anchor or path.suffix != ".md" or anchor in read(path).anchors


def test_every_page_of_the_documentation_is_reached_from_its_index() -> None:
    start = ROOT / "docs" / "README.md"
    seen, queue = {start}, [start]
    while queue:
        page = read(queue.pop())
        linked = {(page.path.parent / target.partition("#")[0]).resolve() for _, target in page.links}
        fresh = {
            path
            for path in linked - seen
            if path.suffix == ".md" and path.is_relative_to(ROOT / "docs") and path.exists()
        }
        seen |= fresh
        queue.extend(fresh)
    assert [
        path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")) if path not in seen
    ] == []
