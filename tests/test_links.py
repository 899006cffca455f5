"""Every relative link, image and anchor in the Markdown files leads somewhere; nothing is asked of the network."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
NOT_OURS = {".git", ".venv", "venv", "build", "node_modules", "shared"}
PAGES = [
    path for path in sorted(ROOT.rglob("*.md")) if not NOT_OURS & set(path.relative_to(ROOT).parts[:-1])
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]  # fmt: skip
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of links and images outside of code."""
    return LINK.findall(CODE.sub("code", FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = sum(1 for other in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", other))
        found.add(f"{anchor}-{again}" if again else anchor)
    return found


def broken(page: Path, text: str) -> list[str]:
    """Links of a page with this text that lead nowhere."""
    found = []
    for target in links(text):
        if re.match(r"[a-z]+:", target):  # https:, mailto:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / unquote(name)).resolve() if name else page
        there = (path == ROOT or ROOT in path.parents) and (path == page or path.exists())
        if there and anchor:
            there = path.suffix == ".md" and anchor in anchors(text if path == page else path.read_text())
        if not there:
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not broken(page, page.read_text())


def test_a_broken_link_is_found():
    """The control."""
    text = "# One `two`, three\n[a](README.md) [b](#one-two-three) [c](nowhere.md) [d](#four) [e](README.md#no-such)\n"
    text += "![f](examples/none.png) [g](https://example.org) `[h](code.md)` [i](../outside.md)\n"
    text += "```\n# five\n[j](fenced.md)\n```\n"
    wanted = ["nowhere.md", "#four", "README.md#no-such", "examples/none.png", "../outside.md"]
    assert broken(ROOT / "page.md", text) == wanted


def test_the_pages_are_found():
    assert {ROOT / "README.md", ROOT / "examples" / "guide" / "README.md"} <= set(PAGES)
