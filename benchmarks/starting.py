"""How long a new process takes until it simulates: import, and the first run with and without compiled kernels."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import reached

ROOT = Path(__file__).parent.parent
IMPORT = "import time; t = time.perf_counter(); import dysonsim; print(time.perf_counter() - t)"
FIRST_RUN = """
import time
import dysonsim as ds
sgd = ds.SGD(ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0), learning_rate=0.1, batch_size=16)
t = time.perf_counter()
ds.simulate(sgd, replicas=16, steps=10)
print(time.perf_counter() - t)
"""
ALONE = "import time; t = time.perf_counter(); import alone; alone.f(1); print(time.perf_counter() - t)"
CACHED = "from numba import njit\n\n\n@njit(cache=True)\ndef f(x):\n    return x + 1\n"
IMPORT_BAR, COMPILING_BAR, LATER_BAR = 0.4, 8.0, 1.0  # seconds: the import, and whole processes


@dataclass(frozen=True)
class Taken:
    """Seconds that a new process says that its part took, and those of the whole process, interpreter and all."""

    part: float
    whole: float


def taken(code: str, **environment: str) -> Taken:
    """Run the code in a new Python; it prints its part last."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - began
    return Taken(float(done.stdout.split()[-1]), whole)


def median_taken(code: str, repeats: int, **environment: str) -> Taken:
    """Medians over new processes, files in the page cache."""
    taken(code, **environment)
    all_taken = [taken(code, **environment) for _ in range(repeats)]
    return Taken(statistics.median(t.part for t in all_taken), statistics.median(t.whole for t in all_taken))


def first_runs(repeats: int) -> tuple[Taken, Taken, bool]:
    """A process that simulates with nothing compiled, the later ones, and whether any of these compiled anew."""
    with tempfile.TemporaryDirectory() as folder:
        compiling = taken(FIRST_RUN, DYSONSIM_CACHE_DIR=folder)
        before = machine_code(folder)
        later = median_taken(FIRST_RUN, repeats, DYSONSIM_CACHE_DIR=folder)
        return compiling, later, machine_code(folder) != before or not before


def numba_alone(repeats: int) -> Taken:
    """Processes that import Numba and call one function from its cache: what none that does so can do without."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "alone.py").write_text(CACHED)
        return median_taken(ALONE, repeats, PYTHONPATH=folder)


def machine_code(folder: str) -> dict[str, int]:
    """Files of machine code and when they were written: compiling anew writes anew."""
    return {str(file): file.stat().st_mtime_ns for file in Path(folder).rglob("*.nbc")}


def start_up(repeats: int) -> list[dict]:
    """What a user waits for, one row each; "part" is the import or the call of `simulate` alone."""
    importing = median_taken(IMPORT, repeats)
    compiling, later, again = first_runs(repeats)
    alone = numba_alone(repeats)
    rows = []
    for what, seconds, bar, barred in (
        ("import dysonsim", importing, IMPORT_BAR, importing.part),
        ("first process: import, compile, simulate", compiling, COMPILING_BAR, compiling.whole),
        ("later process: import, simulate", later, LATER_BAR, later.whole),
    ):
        rows.append(
            {
                "what": what, "part, s": seconds.part, "whole process, s": seconds.whole, "bar, s": bar,
                "bar is for": "part" if barred == seconds.part else "whole process", "reached": barred <= bar,
            }
        )  # fmt: skip
    rows.append({"what": "later process compiled nothing", "reached": not again})
    what = "Numba alone: import, one cached function"
    rows.append({"what": what, "part, s": alone.part, "whole process, s": alone.whole})
    return rows


def table(rows: list[dict]) -> str:
    lines = [f"{'a new process':44}{'part, s':>9}{'whole, s':>10}  bar"]
    for row in rows:
        if "reached" not in row:
            lines.append(f"    {row['what']:<40}{row['part, s']:>9.2f}{row['whole process, s']:>10.2f}")
            continue
        verdict = reached(row["reached"])
        if "bar, s" not in row:
            lines.append(f"    {row['what']:<61}{verdict}")
            continue
        bar = f"{row['bar is for']} <= {row['bar, s']:g} s: {verdict}"
        lines.append(f"    {row['what']:<40}{row['part, s']:>9.2f}{row['whole process, s']:>10.2f}  {bar}")
    return "\n".join(lines)
