"""`dysonsim examine`: the table of an examination, and a page with a picture for each layer."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, BinaryIO

from .. import _html
from .._files import write_whole
from .examine import Examination, examine
from .given import chosen_layers, matrices
from .verdict import FOLLOWS, Verdict

__all__ = ["examine_files", "render"]

READING = (
    "Every layer is tested against random matrices of its own: its entries shuffled, or Gaussian entries where "
    "shuffling would take long. p is the share of them whose spectrum is as extreme as the layer's. Levels above the "
    "bulk are taken away one after the other as long as they stand out, and what they leave is tested again (bulk p). "
    "The controls are the same layer before training, where it was given, and with its entries shuffled. Not rejected "
    "does not mean random, and rejected does not mean that something useful was learned."
)


def examine_files(
    path: str,
    *,
    initial: str | None = None,
    out: str | os.PathLike[str] = "dysonsim-examination",
    layers: Sequence[str] = (),
    echo: Callable[[str], None] = print,
    **options: Any,
) -> Examination:
    """Examine the weights in a file, print the table, and write report.html and results.json.

    Parameters
    ----------
    path : path
        Of whatever `read_weights` reads.
    initial : path, optional
        The weights before training.
    out : path
        Directory, made if it is not there.
    layers : sequence of str
        Shell patterns ("blocks.*.up"); all layers by default.
    echo : callable
        Called with what is to be printed.
    options
        null, draws, level, seed of `examine`.

    Raises
    ------
    TypeError, ValueError, ImportError, OSError
        As `examine` and `read_weights`; if a pattern matches no layer, or `out` cannot be written.
    DivergenceError
        If a layer holds nan or inf.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("not writable")
    except OSError as error:
        raise OSError(f"out = {os.fspath(out)!r}: must be a directory that can be written ({error})") from None
    weights = matrices("weights", path)
    if layers:
        weights = chosen_layers("layers", weights, layers)
    result = examine(weights, initial=initial, **options)
    echo(str(result))
    page = render(result, os.fspath(path), None if initial is None else os.fspath(initial))
    numbers = json.dumps({"weights": os.fspath(path), "initial": initial} | result.to_dict(), indent=1)
    for name, text in {"results.json": numbers, "report.html": page}.items():
        write_whole(folder / name, partial(_write, text))
    echo(f"report: {folder / 'report.html'}")
    return result


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode())


def render(result: Examination, source: str, initial: str | None = None) -> str:
    """Return the page: the table, then a picture for each layer, folded."""
    header, *rows = result.table()
    before = f", before training {escape(initial)}" if initial else ""
    said = "".join(f"<li>{escape(line)}</li>" for line in result.summary())
    lines = [
        f"<header><h1>Spectra of {escape(Path(source).name)}</h1>"
        f'<p class="small">{escape(source)}{before}. {result.draws} random matrices for each test, level '
        f"{result.level:g}, seed {result.seed}.</p></header>",
        "<main><section>",
        _html.table("A ! marks a control that is rejected.", header, rows, "layers"),
        f"<ul>{said}</ul><p>{READING}</p></section>",
        '<section><h2 id="pictures">Layers</h2>',
        _html.picture(_png(result), f"p-values of {len(result)} layers and their controls"),
        '<label class="switch"><input type="checkbox" id="all"> Expand all layers</label>',
        *(_layer(row) for row in result.rows),
        "</section>",
        _made(),
        "</main>",
    ]
    return _html.page(f"dysonsim examine {Path(source).name}", lines)


def _layer(row: Verdict) -> str:
    style = "agrees" if row.verdict == FOLLOWS else "expected" if row.spike_count else "disagrees"
    style = style if row.determined else ""
    notes = "".join(f"<p>{escape(note)}.</p>" for note in row.notes)
    found = f"<pre>{escape(str(row.spikes))}</pre>" if row.spike_count else ""
    alone = ", ".join(f"{name} {p:.3g}" for name, p in row.pvalues.items())
    alone = f'<p class="small">p-values of each statistic alone: {alone}.</p>' if alone else ""
    alt = f"Spectrum of {row.layer}: {row.verdict}"
    return (
        f'<details class="group"><summary><b>{escape(row.layer)}</b> {row.shape[0]} x {row.shape[1]}: '
        f'<span class="{style}">{escape(row.verdict)}</span></summary>'
        f"{_html.picture(_png(row), alt)}{notes}{found}{alone}</details>"
    )


def _png(drawn: Any) -> bytes:
    """Return the picture that something plots, made without pyplot: no window, no global state."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = len(drawn) if isinstance(drawn, Examination) else 0
    size = (9.0, 1.6 + 0.26 * max(rows, 3)) if rows else (9.0, 4.4)
    with matplotlib.rc_context({"font.size": 10.5, "axes.titlesize": 11}):
        figure = Figure(figsize=size, layout="constrained")
        drawn.plot(figure.add_subplot())
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _made() -> str:
    from .._version import __version__

    return f'<section><p class="small">Made by dysonsim {__version__}; all numbers are in results.json.</p></section>'
