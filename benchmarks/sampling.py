"""How an RBM's update is best done, one thread.

Every way to draw the k Gibbs steps of a batch (`GaussianRBM.sampling`), and W C either as a product with C ("matrix")
or as (W phi) phiT / B ("thin"), in turn. Shown is the time over that of "at_once, matrix" and what "auto" takes; a star
where another way is more than a tenth faster.
"""

from __future__ import annotations

import itertools
import time
from unittest import mock

import numpy as np

import dysonsim as ds
from benchmarks.harness import announce, quartiles
from dysonsim.kernels.networks import rbm

SAMPLINGS = ("at_once", "two_noises", "step_by_step")
SIZES, BATCHES, GIBBS_STEPS = (10, 20, 50), (1, 4, 16), (1, 3, 10)
BLOCKS, SECONDS = 4, 0.02


def model(n: int, k: int, sampling: str) -> ds.GaussianRBM:
    return ds.GaussianRBM.scalar_field(n, mass=2.0, mu=3.0, gibbs_steps=k, sampling=sampling)


def opened(n: int, batch: int, k: int, sampling: str, thin: bool):
    """A few networks that are trained that way, and how many."""
    with mock.patch.object(rbm, "thin_learning", return_value=thin):
        sgd = ds.SGD(model(n, k, sampling), 0.002, batch)
        program = sgd.prepare("cpu", "float32", 1)
        networks = BLOCKS * program.width
        ensemble = program.open(sgd.start(networks, 1), 0, 1)
    ensemble.advance(0, 3)
    return ensemble, networks


def compare(n: int, batch: int, k: int, rounds: int) -> dict[str, object]:
    """One size: nanoseconds for one network's step in every way, float32."""
    ways = {(s, thin): opened(n, batch, k, s, thin) for s in SAMPLINGS for thin in (False, True)}
    usual = next(iter(ways))
    began = time.perf_counter()
    ways[usual][0].advance(3, 4)
    steps = max(3, int(SECONDS / (time.perf_counter() - began) * 4))
    times = {way: np.empty(rounds) for way in ways}
    for r in range(rounds):
        for way, (ensemble, networks) in ways.items():
            began = time.process_time()
            ensemble.advance(7 + r * steps, steps)
            times[way][r] = (time.process_time() - began) / (steps * networks) * 1e9
    ratios = {name(way): quartiles(ns / times[usual]) for way, ns in times.items()}
    cost = rbm.costs(n, n, batch, k)
    taken = name((min(cost, key=lambda way: cost[way]), rbm.thin_learning(n, n, batch)))
    best = min(ratios, key=lambda way: ratios[way]["ratio"])
    star = "*" if ratios[taken]["ratio"] > 1.1 * ratios[best]["ratio"] else " "
    shown = "  ".join(f"{way} {found['ratio']:.2f}" for way, found in ratios.items())
    print(
        f"{star} {n} units, |B| = {batch}, k = {k}: auto is {taken} {ratios[taken]['ratio']:.2f}; {shown}", flush=True
    )
    ns = {name(way): float(np.median(values)) for way, values in times.items()}
    return {"n": n, "batch": batch, "k": k, "auto": taken, "best": best, "ns": ns, "over at_once, matrix": ratios}


def name(way: tuple[str, bool]) -> str:
    sampling, thin = way
    return f"{sampling}, {'thin' if thin else 'matrix'}"


def run(options, keep) -> dict:
    """Print one size after the other."""
    report: dict[str, object] = {"machine": announce() | {"threads": 1}}
    steps = GIBBS_STEPS[1:2] if options.quick else GIBBS_STEPS
    report["ways"] = [compare(*size, 5 if options.quick else 9) for size in itertools.product(SIZES, BATCHES, steps)]
    return report
