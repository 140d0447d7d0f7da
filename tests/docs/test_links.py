"""No dead link: files, headings and pictures that the pages name are there, and pictures are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
MOST_BYTES = 150 * 1024

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|<!--.*?-->", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """The targets of all links and pictures of a page, but for addresses elsewhere."""
    found = _LINK.findall(_CODE.sub("", text))
    return [target for target in found if not target.startswith(("http://", "https://"))]


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    return {anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", text))}


def anchor(heading: str) -> str:
    """The name of a heading in links: lower case, hyphens for blanks, without other signs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def wrong(page: Path, target: str) -> str:
    """What is wrong with a link, or nothing."""
    name, _, heading = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.is_relative_to(ROOT):
        return f"{target}: outside of the project"
    if not path.exists():
        return f"{target}: no such file"
    if heading and heading not in anchors(path.read_text("utf-8")):
        return f"{target}: no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    assert [said for target in links(page.read_text("utf-8")) if (said := wrong(page, target))] == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    listed = {target.partition("#")[0] for target in links(index.read_text("utf-8"))}
    assert [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name not in {"README.md", *listed}
    ] == []


def test_pictures_are_small_and_all_are_shown() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in links(page.read_text("utf-8"))
        if target.endswith((".png", ".svg"))
    }
    pictures = sorted((ROOT / "docs/images").glob("*.png"))
    assert [path.name for path in pictures if path.stat().st_size > MOST_BYTES] == []
    assert [path.name for path in pictures if path.resolve() not in shown] == []


def test_a_dead_link_is_noticed() -> None:
    page = ROOT / "README.md"
    assert links("see [a](b.md#c) and ![p](d.png), `[x](y)`\n```\n[z](z)\n```\n") == ["b.md#c", "d.png"]
    assert wrong(page, "docs/nothing.md")
    assert wrong(page, "docs/faq.md#nothing")
    assert not wrong(page, "docs/faq.md#why-is-my-job-not-running")
    assert anchor("Why does `max_retry` count?") == "why-does-max_retry-count"
