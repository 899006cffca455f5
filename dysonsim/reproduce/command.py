"""Run the parts one after another, and write the report anew after each of them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from dysonsim import _checks
from dysonsim._files import write_whole
from dysonsim._text import aligned, plain
from dysonsim.reproduce import (
    densities,
    figures,
    levels,
    linear_levels,
    long_range,
    motion,
    optimizers,
    overview,
    phases,
    provenance,
    relaxation,
    scaling,
    spectrum,
    surmise,
    teacher,
)
from dysonsim.reproduce.ensembles import MAX_SEED, Ensembles
from dysonsim.reproduce.html import render
from dysonsim.reproduce.parts import Part, in_words, row_cells
from dysonsim.reproduce.sizes import FULL, SIZES, Size

PARTS: dict[str, tuple[str, Callable[[Ensembles], Part]]] = {
    "spectrum": ("Spectrum of the Gaussian RBM", spectrum.measure),
    "surmise": ("Wigner surmise", surmise.measure),
    "scaling": ("Linear scaling rule, Gaussian RBM", scaling.measure),
    "teacher": ("Linear scaling rule, teacher–student", teacher.measure),
    "relaxation": ("One hidden layer: relaxation of the eigenvalues", relaxation.measure),
    "densities": ("One hidden layer: stationary densities", densities.measure),
    "levels": ("SGD, Langevin, Dyson and the Coulomb gas: Gaussian RBM", levels.measure),
    "motion": ("Eigenvalues during training", motion.measure),
    "linear_levels": ("SGD, Langevin, Dyson and the Coulomb gas: linear networks", linear_levels.measure),
    "optimizers": ("Momentum and Adam", optimizers.measure),
    "phases": ("Phases of a nonlinear network", phases.measure),
    "long_range": ("Long-range statistics: number variance, rigidity, form factor", long_range.measure),
}
OVERVIEW = "overview"
STORES = "scans"  # where the scans of an unfinished report are kept, by the hash of the sources
SAME = ("command", "seed", "size", "versions", "sources")  # entries that a report to be continued has alike


def reproduce(
    out: str | os.PathLike[str] = "dysonsim-report",
    size: Size | str = FULL,
    seed: int = 0,
    echo: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Simulate the networks of both papers, compare their spectra with random matrix theory, and write a report.

    Parameters
    ----------
    out : path
        Directory, created if it does not exist, for results.json, report.html (self-contained) and figures/*.png.
        These are rewritten after every part, so that an interrupted run leaves what was finished; the same call, with
        nothing changed, goes on from there. With the extra `scan` it goes on within the scans over learning rate and
        batch size as well.
    size : Size, "full" or "quick"
        How much to simulate.
    seed : int
        From 0 to 10**15. The same seed gives the same results.json except for its entry "run" (times and machine).
    echo : callable
        Called with each line of progress and with the summary.

    Returns
    -------
    dict
        The contents of results.json. ``results["complete"]`` says whether every part ran; a part that raised an
        exception has its traceback there instead of numbers.

    Raises
    ------
    TypeError, ValueError
        For a bad size, seed or `out`.
    OSError
        If `out` cannot be written, at the start or (after the summary, which is echoed) at the end.

    Examples
    --------
    >>> from dysonsim.reproduce import figures, reproduce
    >>> results = reproduce("report", "quick", seed=1)  # doctest: +SKIP
    >>> figures.surmise(results).savefig("surmise.pdf")  # doctest: +SKIP
    """
    if isinstance(size, str):
        size = SIZES[_checks.choice("size", size, SIZES)]
    if not isinstance(size, Size):
        raise TypeError(f"size = {size!r}: must be a dysonsim.reproduce.Size, 'full' or 'quick'")
    seed = _checks.integer("seed", seed, 0, MAX_SEED)
    folder = writable_directory(out)
    results = _empty_results(size, seed)
    stores = folder / STORES / results["sources"] if find_spec("zarr") else None
    ensembles = Ensembles(size, seed, stores)
    functions = {name: partial(function, ensembles) for name, (_, function) in PARTS.items()}
    functions[OVERVIEW] = partial(overview.measure, results)
    kept = _finished_earlier(results, folder)
    if kept:
        echo(f"an interrupted report is continued: {len(kept)} of {len(PARTS)} parts are there already")
    began = time.perf_counter()
    try:
        for name, function in functions.items():
            if name in kept:
                _keep_part(name, kept[name], results)
                continue
            _run_part(name, function, results, folder)
            results["run"]["seconds"]["total"] = round(time.perf_counter() - began, 2)
            entry = results["parts"][name]
            _try_to_write(results, folder, echo)
            verdict = f" {in_words(entry['rows'])}" if entry.get("rows") else ""
            echo(f"{entry['title']}: {entry['status']}, {results['run']['seconds'][name]:.1f} s.{verdict}")
            if entry["status"] == "failed":
                echo(entry["traceback"].rstrip())
    except KeyboardInterrupt:
        _try_to_write(results, folder, echo)
        echo(f"interrupted; what was finished is in {folder / 'report.html'}")
        raise
    results["complete"] = all(entry["status"] == "ok" for entry in results["parts"].values())
    if results["complete"]:
        shutil.rmtree(folder / STORES, ignore_errors=True)
    echo(summary(results))
    try:
        write(results, folder)
    except OSError as error:
        raise OSError(f"out = {str(out)!r}: the report could not be written ({error})") from error
    echo(f"report: {folder / 'report.html'}")
    return results


def _finished_earlier(results: dict[str, Any], folder: Path) -> dict[str, tuple[dict[str, Any], float, float]]:
    """Return parts that an interrupted run of the same report has left: entry, seconds and processor seconds of each.

    The overview is made of all parts, so it is never among them.
    """
    try:
        earlier = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        if earlier["complete"] or any(earlier[name] != results[name] for name in SAME):
            return {}
        run, found = earlier["run"], {}
        for name in PARTS:
            entry = earlier["parts"][name]
            if entry["status"] == "ok" and all(_drawing(folder, figure).exists() for figure in entry["figures"]):
                found[name] = (entry, float(run["seconds"][name]), float(run["cpu_seconds"][name]))
        return found
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # no report, or another one
        return {}


def _drawing(folder: Path, figure: dict[str, Any]) -> Path:
    return folder / "figures" / f"{figure['name']}.png"


def _keep_part(name: str, part: tuple[dict[str, Any], float, float], results: dict[str, Any]) -> None:
    entry, seconds, processor = part
    results["parts"][name] = entry
    results["summary"] += entry.get("rows", [])
    results["run"]["seconds"][name], results["run"]["cpu_seconds"][name] = seconds, processor


def _try_to_write(results: dict[str, Any], folder: Path, echo: Callable[[str], None]) -> None:
    """Report a disk that is full, for example, and go on: there may be room again when the next part has ended."""
    try:
        write(results, folder)
    except OSError as error:
        echo(f"out = {str(folder)!r}: cannot be written now ({error})")


def writable_directory(out: str | os.PathLike[str]) -> Path:
    """Return the directory, created if need be; raise an OSError that says so if files cannot be written there."""
    if not isinstance(out, (str, os.PathLike)):
        raise TypeError(f"out = {out!r}: must be the path of a directory, not {type(out).__name__}")
    if not os.fspath(out) or "\0" in os.fsdecode(out):
        raise ValueError(f"out = {out!r}: must be the path of a directory; '.' is the current one")
    folder = Path(out)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        probe = folder / ".dysonsim-probe"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(f"out = {str(out)!r}: must be a directory that can be written ({error})") from None
    return folder


def summary(results: dict[str, Any]) -> str:
    """Return the comparisons of all parts as a text table."""
    lines = [["quantity", "measured", "predicted", "deviation", "verdict"]]
    for row in results["summary"]:
        lines.append([row["quantity"], *row_cells(row), row["verdict"]])
    return aligned(lines, indent="")


def _empty_results(size: Size, seed: int) -> dict[str, Any]:
    quick = " --quick" if size.name == "quick" else ""
    titles = {name: title for name, (title, _) in PARTS.items()} | {OVERVIEW: "Overview"}
    return {
        "complete": False,
        "command": f"dysonsim reproduce{quick} --seed {seed}",
        "seed": seed,
        "size": plain(dataclasses.asdict(size)),
        "versions": provenance.versions(),
        "sources": provenance.sources(),
        "summary": [],
        "parts": {name: {"title": title, "status": "not run"} for name, title in titles.items()},
        "run": {
            "machine": provenance.machine(),
            "started": provenance.now(),
            "seconds": {},
            "cpu_seconds": {},
        },
    }


def _run_part(name: str, function: Callable[[], Part], results: dict[str, Any], folder: Path) -> None:
    """Put into the results what the part returns, or the traceback of what it raised, and how long it took.

    A part of which a figure cannot be drawn has failed as well.
    """
    entry = results["parts"][name]
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            entry |= plain(dataclasses.asdict(function()))
            for figure in entry["figures"]:
                getattr(figures, figure["name"])(results).savefig(_drawing(folder, figure))
            entry["status"] = "ok"
        except Exception:
            entry |= {"status": "failed", "traceback": traceback.format_exc()}
    entry["warnings"] = sorted(
        {str(w.message) for w in caught if issubclass(w.category, (RuntimeWarning, UserWarning))}
    )
    results["summary"] += entry.get("rows", [])
    results["run"]["seconds"][name] = round(time.perf_counter() - wall, 2)
    results["run"]["cpu_seconds"][name] = round(time.process_time() - cpu, 2)


def write(results: dict[str, Any], folder: Path) -> None:
    """Write results.json and report.html, each as a whole or not at all."""
    texts = {
        "results.json": json.dumps(results, indent=1, ensure_ascii=False),
        "report.html": render(results, folder),
    }
    for name, text in texts.items():
        write_whole(folder / name, partial(_write_text, text))


def _write_text(text: str, file: BinaryIO) -> None:
    file.write(text.encode())
