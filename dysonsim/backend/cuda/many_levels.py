"""A few large gases on a CUDA device: a block of threads a segment of levels.

The text of the kernels is `kernels/many_levels/cooperative.py`, which is handed in here as `kernel`. They follow each
other without a word from the host: what a step needs to know of a whole gas (five sums of its forces, whether they are
finite) stays on the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda, types

from ..cache import Place, cache_directory, execute
from ..kernel import STILL_WELL, split_seed
from . import lanes as cuda_lanes
from .driver import compiler, quietly, require_device, room_for
from .lanes import SIMULATED

# A block sums the forces on as many levels as it has threads, and takes the sources in tiles of as many: ten thousand
# levels of sixteen gases make 1264 blocks, ten for each multiprocessor of the largest cards.
FORCE_THREADS = 16 if SIMULATED else 128
# Levels of a segment for all that is local, and its threads. Three windows of 528 numbers are 12.7 kB, which leaves
# room for several blocks; a tenth of the work is done twice, at the edges.
SEGMENT, THREADS = (24, 4) if SIMULATED else (480, 256)

# Grid: segments of a gas times gases. Gases that have failed stand still. Only `push` writes marks, and there the
# threads of a block do not part by what they read.
TEXT = """
def forces(x, g, sums, marks, n):
    r, b, t = cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(FORCE_SHARED, REAL)
    if marks[r] == STILL_WELL:
        do_forces(x[r], g[r], sums[r], shared, n, b, t, FORCE_THREADS)

def push(x, sums, pushes, marks, constants, which, n, blocks, step):
    r, t = cuda.blockIdx.y, cuda.threadIdx.x
    shared = cuda.shared.array(8, REAL)
    well = marks[r] == STILL_WELL
    finite = do_push(x[r], sums[r], shared, pushes[r], n, blocks, constants[which], t)
    if well and not finite and t == 0:
        marks[r] = u32(step)

def before(x, g, pushes, y, c, marks, constants, n, first_replica, step, key0, key1):
    r, b, t = cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(SHARED, REAL)
    if marks[r] == STILL_WELL:
        numbers = (first_replica + r, step, key0, key1)
        do_before(x[r], g[r], y[r], c[r], shared, constants, pushes[r], step & 1, n, SEGMENT, b * SEGMENT, t, THREADS,
                  numbers)

def after(y, c, x, marks, constants, n, step):
    r, b, t = cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(SHARED, REAL)
    if marks[r] == STILL_WELL:
        do_after(y[r], c[r], x[r], shared, constants, step & 1, n, SEGMENT, b * SEGMENT, t, THREADS)

def move(x, g, pushes, y, marks, constants, n):
    r, b, t = cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(SHARED, REAL)
    if marks[r] == STILL_WELL:
        do_move(x[r], g[r], y[r], shared, constants, pushes[r], n, SEGMENT, b * SEGMENT, t, THREADS)

def across(x, marks, n):
    r, b, t = cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(SHARED, REAL)
    begin = b * SEGMENT - SEGMENT // 2
    first, last = max(begin, 0), min(begin + SEGMENT, n)
    if marks[r] == STILL_WELL:
        for i in range(first + t, last, THREADS):
            store(shared, i - first, load(x[r], i))
        barrier()
        do_sort(shared, 0, last - first, t, THREADS)
        for i in range(first + t, last, THREADS):
            store(x[r], i, load(shared, i - first))

def mend(x, marks, n):
    r, t = cuda.blockIdx.y, cuda.threadIdx.x
    if marks[r] == STILL_WELL:
        do_mend(x[r], n, t, MEND_THREADS)
"""
MEND_THREADS = THREADS if SIMULATED else 1024  # one block looks at a whole gas
PUSH_THREADS = 8 if SIMULATED else 32


def signatures() -> dict[str, Any]:
    """Argument types of the kernels."""
    rows, row, marks = types.float64[:, ::1], types.float64[::1], types.uint32[::1]
    long, word = types.int64, types.uint32
    return {
        "forces": types.void(rows, rows, rows, marks, long),
        "push": types.void(rows, rows, rows, marks, row, long, long, long, long),
        "before": types.void(rows, rows, rows, rows, rows, marks, row, long, long, long, word, word),
        "after": types.void(rows, rows, rows, marks, row, long, long),
        "move": types.void(rows, rows, rows, rows, marks, row, long),
        "across": types.void(rows, marks, long),
        "mend": types.void(rows, marks, long),
    }


def device_any(flag):
    """Tell every thread of a block whether a flag is set in any, and wait for all."""
    return cuda.syncthreads_or(np.int32(flag)) != 0


def simulated_any(flag) -> bool:
    """Do the same in the simulator."""
    return threading.current_thread().syncthreads_or(flag)  # type: ignore[attr-defined]


def lanes() -> SimpleNamespace:
    """Make the functions of one thread in float64, and those with which the threads of a block wait for each other."""
    base = cuda_lanes.lanes("float64", 1, private=True)
    any_thread = simulated_any if SIMULATED else base.jit(device_any)
    memory = cuda_lanes.plain_memory()
    return SimpleNamespace(**vars(base) | vars(memory), barrier=cuda_lanes.barrier(), any_thread=any_thread)


def kernel_functions(kernel: ModuleType, normals: int) -> tuple[dict[str, Any], Place]:
    """Return the kernels' Python functions, for `cuda.jit` or `cuda.compile`, and whether Numba can cache them.

    `normals` as of `kernel.build_before`.
    """
    functions = lanes()
    order = kernel.build_order(functions)
    names: dict[str, Any] = {
        "__name__": __name__, "cuda": cuda, "u32": np.uint32, "REAL": types.float64, "STILL_WELL": STILL_WELL,
        "SEGMENT": SEGMENT, "THREADS": THREADS, "FORCE_THREADS": FORCE_THREADS, "MEND_THREADS": MEND_THREADS,
        "FORCE_SHARED": kernel.SUMS * FORCE_THREADS, "SHARED": 3 * (SEGMENT + 2 * kernel.PAD),
        "barrier": functions.barrier,
        "load": functions.load, "store": functions.store,
        "do_forces": kernel.build_forces(functions), "do_push": kernel.build_push(functions),
        "do_before": kernel.build_before(functions, normals), "do_after": kernel.build_after(functions),
        "do_move": kernel.build_move(functions), "do_sort": order.sort, "do_mend": order.mend,
    }  # fmt: skip
    directory = cache_directory(kernel.build_forces, (), compiler(), str(normals))
    place = execute(TEXT, names, directory)
    return {name: names[name] for name in signatures()}, place


@cache
def compiled(kernel: ModuleType, normals: int) -> SimpleNamespace:
    """Compile the kernels."""
    functions, place = kernel_functions(kernel, normals)
    if SIMULATED:
        return SimpleNamespace(**{name: cuda.jit(function) for name, function in functions.items()})
    types_of = signatures()
    kept = place.folder is not None
    made = {name: cuda.jit(types_of[name], cache=kept)(function) for name, function in functions.items()}
    place.keep()
    return SimpleNamespace(**made)


class CudaLarge:
    """An `Ensemble` of large gases on the device, all of them at once.

    `constants` makes what `kernel` calls so of [dt, rate, noise, center]; `normals` as of `kernel.build_before`.
    """

    def __init__(
        self, start: np.ndarray, first_replica: int, seed: int, kernel: ModuleType, normals: int,
        constants: Callable[[np.ndarray], np.ndarray],
    ) -> None:  # fmt: skip
        require_device()
        self.replicas, self.n = start.shape
        self.first_replica, self.seed = first_replica, seed
        self.of_reals = constants
        self.kernel, self.kernels = kernel, compiled(kernel, normals)
        self.blocks = -(-self.n // FORCE_THREADS)
        self.segments = -(-self.n // SEGMENT)
        size = start.nbytes + 8 * self.replicas * (kernel.SUMS * self.blocks + 4)
        with room_for(self.replicas, first_replica, size + 3 * start.nbytes, 0):
            self.x = cuda.to_device(start)
            self.y, self.g, self.c = (cuda.device_array(start.shape, np.float64) for _ in range(3))
            self.sums = cuda.device_array((self.replicas, kernel.SUMS * self.blocks), np.float64)
            self.pushes = cuda.device_array((self.replicas, 3), np.float64)
            self.marks = cuda.to_device(np.full(self.replicas, STILL_WELL, np.uint32))

    def set_reals(self, reals: np.ndarray) -> None:
        """[dt, rate, noise, center] from the next step on."""
        self.constants = cuda.to_device(self.of_reals(np.array(reals, dtype=np.float64)))

    def advance(self, first: int, count: int) -> None:
        """Do steps number first, ..., first + count - 1."""
        with quietly():
            for s in range(first, first + count):
                self._step(s)
            cuda.synchronize()

    def state(self) -> np.ndarray:
        """(replicas, n) levels, ascending."""
        return self.x.copy_to_host()

    def left(self) -> np.ndarray:
        """(replicas,) the step at which a gas stopped being finite, STILL_WELL where it did not."""
        return self.marks.copy_to_host()

    def _step(self, s: int) -> None:
        x, y, g, c, n = self.x, self.y, self.g, self.c, self.n
        marks, constants, pushes, run = self.marks, self.constants, self.pushes, self.kernels
        local = (self.segments, self.replicas), THREADS
        self._push(s, self.kernel.FIRST)
        run.before[local](x, g, pushes, y, c, marks, constants, n, self.first_replica, s, *split_seed(self.seed))
        self._order(y)
        run.after[local](y, c, x, marks, constants, n, s)
        self._order(x)
        self._push(s, self.kernel.SECOND)
        run.move[local](x, g, pushes, x, marks, constants, n)
        self._order(x)

    def _push(self, s: int, which: int) -> None:
        """Far forces of the levels, and what moves the levels by them."""
        run = self.kernels
        run.forces[(self.blocks, self.replicas), FORCE_THREADS](self.x, self.g, self.sums, self.marks, self.n)
        run.push[(1, self.replicas), PUSH_THREADS](
            self.x, self.sums, self.pushes, self.marks, self.constants, which, self.n, self.blocks, s
        )

    def _order(self, levels) -> None:
        """Sort levels that are sorted in their segments: across the segments' edges, then whatever is left."""
        run = self.kernels
        run.across[(self.segments + 1, self.replicas), THREADS](levels, self.marks, self.n)
        run.mend[(1, self.replicas), MEND_THREADS](levels, self.marks, self.n)
