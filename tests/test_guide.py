"""The code of README and guide runs as printed, and prints what is shown.

The blocks of a page are joined in order. A block that needs a GPU or a long time is marked ``python no-run: reason``
and skipped. Output is compared word by word; numbers may differ by 2%, as between processors.
``python tests/test_guide.py PAGE ...`` writes what is printed now into pages.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "examples" / "guide").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


def blocks(page: Path) -> list[tuple[str, str, int]]:
    """Info, text and first line of every fenced block of a page."""
    text = page.read_text()
    return [(m[1].strip(), m[2], text.count("\n", 0, m.start(2))) for m in FENCE.finditer(text)]


def code_of(page: Path) -> list[tuple[str, str | None, int]]:
    """Code, the output that is shown after it if there is any, and the line, of every block that runs."""
    found = blocks(page)
    after = [*found, ("", "", 0)][1:]
    pairs = zip(found, after, strict=True)
    return [(text, shown if kind == "text" else None, line) for (info, text, line), (kind, shown, _) in pairs
            if info == "python"]  # fmt: skip


def run(code: str, page: Path, line: int, module: types.ModuleType) -> str:
    """What a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * line + code, str(page), "exec"), vars(module))
    return printed.getvalue()


def not_run(page: Path) -> list[tuple[str, str]]:
    """Reason and code of every block that does not run."""
    return [(info.partition("no-run")[2].strip(": "), text) for info, text, _ in blocks(page) if "no-run" in info]


def differences(printed: str, shown: str) -> list[tuple[str, str]]:
    """Pairs of words that differ, numbers by more than 2%."""
    one, other = printed.split(), shown.split()
    if len(one) != len(other):
        return [(printed, shown)]
    return [(a, b) for a, b in zip(one, other, strict=True) if not alike(a, b)]


def alike(one: str, other: str) -> bool:
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    numbers = zip(map(float, NUMBER.findall(one)), map(float, NUMBER.findall(other)), strict=True)
    return all(abs(a - b) <= 0.02 * abs(b) + 1e-12 for a, b in numbers)


@pytest.mark.parametrize("page", [p for p in PAGES if code_of(p)], ids=lambda page: page.name)
def test_code_runs_and_prints_what_is_shown(page, monkeypatch):
    if any("import torch" in text for text, _, _ in code_of(page)):
        pytest.importorskip("torch")
    module = types.ModuleType(f"guide_{page.stem}")  # where dataclasses look their names up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for text, shown, line in code_of(page):
        printed = run(text, page, line, module)
        assert not differences(printed, shown or ""), f"{page.name}, line {line} prints:\n{printed}"


@pytest.mark.parametrize("page", [p for p in PAGES if not_run(p)], ids=lambda page: page.name)
def test_code_that_does_not_run_here(page):
    for reason, text in not_run(page):
        assert reason, f"{page.name}: say why a block is not run"
        compile(text, str(page), "exec")
    pytest.skip("; ".join(reason for reason, _ in not_run(page)))


def test_every_page_is_in_the_index():
    index = (ROOT / "examples" / "guide" / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if page.name != "README.md" and f"({page.name})" not in index] == []


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 900


def test_outputs_are_told_apart():
    """The control: a number off by more than 2%, another word, a missing line."""
    shown = "mean  4.58 ± 0.0035\nlevels (0, 1)"
    assert not differences("mean 4.60 ± 0.00351\nlevels (0, 1)", shown)
    assert differences("mean 4.70 ± 0.0035\nlevels (0, 1)", shown) == [("4.70", "4.58")]
    assert differences("mode 4.58 ± 0.0035\nlevels (0, 1)", shown)
    assert differences("mean 4.58 ± 0.0035", shown)


def main(pages: list[str]) -> None:
    for name in pages:
        page = Path(name)
        module = sys.modules[f"guide_{page.stem}"] = types.ModuleType(f"guide_{page.stem}")
        for text, shown, line in code_of(page):
            printed = "".join(f"{row.rstrip()}\n" for row in run(text, page, line, module).splitlines())
            if shown is not None:
                old, new = (f"{text}```\n\n```text\n{output}" for output in (shown, printed))
                page.write_text(page.read_text().replace(old, new))


if __name__ == "__main__":
    main(sys.argv[1:])
