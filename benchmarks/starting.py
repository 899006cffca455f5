"""How long a new process takes until it simulates: import, and the first run with and without compiled kernels."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

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


def seconds(code: str, **environment: str) -> float:
    """What the code prints last, run by a new Python."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def import_seconds(repeats: int) -> float:
    """Median seconds of `import dysonsim` in new processes, files in the page cache."""
    seconds(IMPORT)
    return statistics.median(seconds(IMPORT) for _ in range(repeats))


def first_run_seconds() -> tuple[float, float, bool]:
    """Seconds of the first `simulate` in a process that compiles and in the next one, and whether that compiled too."""
    with tempfile.TemporaryDirectory() as folder:
        compiling = seconds(FIRST_RUN, DYSONSIM_CACHE_DIR=folder)
        before = machine_code(folder)
        cached = seconds(FIRST_RUN, DYSONSIM_CACHE_DIR=folder)
        return compiling, cached, machine_code(folder) != before or not before


def machine_code(folder: str) -> dict[str, int]:
    """Numba's cache files and when they were written: compiling anew writes anew."""
    return {str(file): file.stat().st_mtime_ns for file in Path(folder).rglob("*.nb*")}
