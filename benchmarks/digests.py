"""Digests of short runs of every process, float type and device at hand: whether a change of the code changed a number.

``python -m benchmarks digests FILE`` writes them, or compares with those of FILE if it is there and lists what differs.
They belong to one machine: another processor may round differently where BLAS is called.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import dysonsim as ds

LARGE = ("RBM of 100", "teacher of 70", "fast", "gas RBM")  # minutes where nothing is compiled
TARGET = np.diag([1.0, 2.0, 2.0, 3.0])
RBM = ds.GaussianRBM.scalar_field(4, mass=2.0, mu=3.0)
TEACHER = ds.TeacherStudent(TARGET, gradient_noise=0.1, label_noise=0.1)
HIDDEN = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 1.5]), gradient_noise=0.1)
NETWORKS = {
    "RBM": RBM,
    "RBM one by one": ds.GaussianRBM.scalar_field(4, mass=2.0, mu=3.0, sampling="step_by_step"),
    "RBM of 100": ds.GaussianRBM.scalar_field(100, mass=2.0, mu=3.0),
    "rectangular RBM": ds.GaussianRBM(TARGET, mu=3.0, n_hidden=6),
    "teacher-student": TEACHER,
    "teacher of 70": ds.TeacherStudent(2 * np.eye(70), gradient_noise=0.1),
    "hidden layer": HIDDEN,
}


def processes() -> dict[str, ds.Process]:
    """By name; all of them small."""
    found: dict[str, ds.Process] = {}
    for name, model in NETWORKS.items():
        sgd = ds.SGD(model, learning_rate=0.02, batch_size=8)
        found[f"SGD {name}"] = sgd
        if model.weight_shape[1] <= 8:
            found[f"Langevin {name}"] = ds.Langevin(sgd)
    for name in ("RBM", "teacher-student", "hidden layer"):
        sgd = ds.SGD(NETWORKS[name], learning_rate=0.02, batch_size=8)
        found[f"Dyson {name}"] = ds.Dyson(sgd)
        found[f"gas {name}"] = ds.CoulombGas(sgd)
    levels = np.linspace(-2, 2, 6)
    for beta in (1.0, 1.5, 2.0, 4.0):
        found[f"Dyson {beta}"] = ds.Dyson(beta=beta, initial=levels)
        found[f"pairs {beta}"] = ds.Dyson(beta=beta, initial=levels, scheme="pairs", dt=0.01)
        found[f"nested {beta}"] = ds.Dyson(beta=beta, initial=levels, scheme="nested")
    found["unequal noise"] = ds.Dyson(beta=1.5, n=3, noise=[1.0, 0.5, 0.3])
    found["semi-implicit"] = ds.Dyson(beta=1.5, initial=levels, scheme="semi_implicit", dt=0.01)
    found["fast"] = ds.Dyson(beta=1.5, initial=np.linspace(-20, 20, 300), scheme="fast", dt=0.01)
    found["drift"] = ds.Dyson(beta=1.5, n=4, drift=lambda x: -(x**3), dt=0.01)
    found["Laguerre"] = ds.LaguerreProcess(m=5, n=4, beta=2.0)
    found["Laguerre 1.5"] = ds.LaguerreProcess(m=4.5, n=4, beta=1.5)
    found["Jacobi"] = ds.JacobiProcess(a=0.3, b=0.0, n=5, beta=1.5)
    found["Hermite gas"] = ds.CoulombGas.hermite(5, 1.5)
    found["Laguerre gas"] = ds.CoulombGas.laguerre(4, 5.5, 1.5)
    found["Jacobi gas"] = ds.CoulombGas.jacobi(4, 0.3, 0.5, 2.0)
    for method in ("hmc", "metropolis"):
        wells = {"centers": [0.0, 0.0, 2.0], "widths": [1.0, 2.0, 0.5]}
        found[f"wells {method}"] = ds.CoulombGas(beta=1.0, method=method, **wells)
    return found


def digest(process: ds.Process, dtype: str, device: str) -> str:
    """Of the levels of a short run, shorter where nothing is compiled."""
    times = process.continuous
    far = 1.0 if device == "cpu" else 0.3
    unit = 180.0 if getattr(process, "sgd", None) is not None else 1.0  # of SGD steps
    length: dict[str, Any] = {"times": [0.01 * unit * far, 0.05 * unit * far]} if times else {"steps": int(20 * far)}
    device = "cuda" if device == "simulator" else "cpu"
    run = ds.simulate(process, replicas=11, seed=7, dtype=dtype, device=device, threads=2, progress=False, **length)
    return hashlib.sha256(np.ascontiguousarray(run.eigenvalues).tobytes()).hexdigest()[:16]


def digests(device: str) -> dict[str, str]:
    """By process, float type and device; why not, where a process refuses."""
    found = {}
    for name, process in processes().items():
        if device != "cpu" and name.removeprefix("SGD ") in LARGE:
            continue
        for dtype in ("float64", "float32") if device == "cpu" else ("float64",):
            try:
                value = digest(process, dtype, device)
            except (ValueError, RuntimeError, NotImplementedError) as error:
                value = f"{type(error).__name__}: {error}"[:80]
            found[f"{name}, {dtype}, {device}"] = value
    singular = ds.singular_values(np.random.default_rng(1).normal(size=(9, 7, 5)))
    found[f"singular values, {device}"] = hashlib.sha256(singular.tobytes()).hexdigest()[:16]
    if device == "cpu":
        levels = np.sort(np.random.default_rng(2).normal(size=5000))
        for method in ("direct", "fast"):
            sums = ds.repulsion(levels, method=method)
            found[f"repulsion, {method}"] = hashlib.sha256(sums.tobytes()).hexdigest()[:16]
    return found


def main(arguments: list[str]) -> int:
    """Write, or compare; 1 if something differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks digests", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="JSON file that is written, or compared with if it is there")
    parser.add_argument("--device", help="print those of one device: what the other processes are asked for")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.device:
        print(json.dumps(digests(options.device)))
        return 0
    found = digests("cpu")
    for device, setting in (("numpy", "NUMBA_DISABLE_JIT"), ("simulator", "NUMBA_ENABLE_CUDASIM")):
        command = [sys.executable, "-m", "benchmarks", "digests", str(options.file), "--device", device]
        done = subprocess.run(command, env=os.environ | {setting: "1"}, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout)
    file = options.file
    if not file.exists():
        file.write_text(json.dumps(found, indent=1))
        print(f"{len(found)} digests written to {file}")
        return 0
    before = json.loads(file.read_text())
    changed = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
    for name in changed:
        print(f"{name}: {before.get(name)} before, {found.get(name)} now")
    print(f"{len(found) - len(changed)} of {len(found)} digests are as before")
    return int(bool(changed))
