"""Compile the CUDA kernels without a GPU, in a process of its own: ``ptx [every]`` or ``ptxas FOLDER [every]``.

Prints one line a kernel, float type and card. Exit status 77: what is needed to compile is missing, the output says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MISSING = 77
CAPABILITIES = ((8, 0), (9, 0))
FLOATS = ("float64", "float32")


class Device:
    """What numba-cuda asks a device for when it compiles device functions."""

    compute_capability = (9, 0)


def compiler():
    """`cuda` and `types`, ready to compile where there is no driver."""
    try:
        import numba.cuda.dispatcher as dispatcher
        import numba_cuda  # noqa: F401 (replaces numba.cuda)
        from numba import cuda, types

        dispatcher.get_current_device = lambda: Device

        def probe(out):
            out[0] = 1.0

        cuda.compile(probe, types.void(types.float64[:]), cc=(9, 0), device=False, abi="numba")
    except Exception as error:  # of many kinds, where libraries are missing
        print("numba-cuda and NVVM cannot be had:", " ".join(str(error).split())[:200])
        sys.exit(MISSING)
    return cuda


def to_ptx(function, signature, capability) -> str:
    from numba import cuda

    Device.compute_capability = capability
    ptx, _ = cuda.compile(function, signature, cc=capability, device=False, abi="numba")
    assert f".target sm_{capability[0]}{capability[1]}" in ptx, ptx[:500]
    assert ".entry" in ptx, ptx[:500]
    return ptx


def planned(kernel, dtype, capability):
    """The plan of a kernel on an A100, an H100 or H200."""
    from dysonsim.backend.cuda.plan import Card, plan

    cards = {(8, 0): Card(108, 163 * 1024, 164 * 1024, 40 * 2**20), (9, 0): Card()}
    return plan(kernel, dtype, cards[capability])


def compiled(kernel, dtype, capability) -> str:
    from dysonsim.backend.cuda.driver import kernel_function, signature

    chosen = planned(kernel, dtype, capability)
    sizes = tuple(kernel.sizes.items())
    function, _ = kernel_function(kernel.build, sizes, dtype, chosen, kernel.state, kernel.scratch)
    return to_ptx(function, signature(dtype), capability)


def all_to_ptx(every: bool) -> None:
    """One of each text, in float64 for the newer card; `every`: all, in both float types, for both cards."""
    from test_backend import MATRICES, PROCESSES, PTX

    from dysonsim.processes.matrix_motion import lanes_kernel

    kernels = {name: PROCESSES[name].kernel() for name in (PROCESSES if every else PTX)}
    kernels |= {name: lanes_kernel(*sizes) for name, sizes in MATRICES.items()}
    for name, kernel in kernels.items():
        for dtype in FLOATS if every else FLOATS[:1]:
            for capability in CAPABILITIES if every else CAPABILITIES[-1:]:
                print(name, dtype, capability, len(compiled(kernel, dtype, capability)))


def report(ptxas, ptx: str, folder: Path, arch: str) -> list[str]:
    """What ``ptxas -v`` says: registers, bytes of stack, of spill stores, of spill loads."""
    file = folder / "kernel.ptx"
    file.write_text(ptx)
    command = [ptxas, "-v", f"-arch={arch}", str(file), "-o", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Unsupported .version" in done.stderr:
        print("ptxas is older than NVVM:", done.stderr[:200])
        sys.exit(MISSING)
    assert done.returncode == 0, done.stderr
    spilled = r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    return [re.findall(r"Used (\d+) registers", done.stderr)[0], *re.findall(spilled, done.stderr)[0]]


def small_through_ptxas(folder: Path, every: bool) -> None:
    import nvidia
    from test_backend import FEW_SMALL, SMALL

    from dysonsim.backend.cuda import many_levels as cuda_large
    from dysonsim.kernels.many_levels import cooperative as large_cooperative

    ours = [place / "cu13/bin/ptxas" for place in map(Path, nvidia.__path__)]  # comes with the extra dysonsim[cuda]
    ptxas = next((str(path) for path in ours if path.exists()), shutil.which("ptxas"))
    if not ptxas:
        print("ptxas cannot be had: pip install dysonsim[cuda]")
        sys.exit(MISSING)
    for name, dtype in [(name, dtype) for name in SMALL for dtype in FLOATS] if every else FEW_SMALL:
        kernel, plan, ptx = SMALL[name].kernel(), None, ""
        for capability in CAPABILITIES:
            arch = f"sm_{capability[0]}{capability[1]}"
            if planned(kernel, dtype, capability) != plan:  # else newer cards take the same code
                plan, ptx = planned(kernel, dtype, capability), compiled(kernel, dtype, capability)
            where = [plan.place, str(plan.threads), str(plan.shared)]
            print(";".join([name, dtype, arch, *where, *report(ptxas, ptx, folder, arch)]))
    for name, function in cuda_large.kernel_functions(large_cooperative, normals=1)[0].items():
        ptx = to_ptx(function, cuda_large.signatures()[name], (8, 0))
        for arch in ("sm_80", "sm_90"):
            where = ["shared", "", "static"]
            print(";".join([f"large, {name}", "float64", arch, *where, *report(ptxas, ptx, folder, arch)]))


if __name__ == "__main__":
    compiler()
    if sys.argv[1] == "ptx":
        all_to_ptx("every" in sys.argv)
    else:
        small_through_ptxas(Path(sys.argv[2]), "every" in sys.argv)
