"""The peers train the same networks: their spectra and weights agree with dysonsim's in the mean, within errors.

Statistics of the early motion and of the late ensemble are compared; LIMIT standard errors are allowed to each of at
most 230 of them, a false alarm in 8000 runs of a test with other seeds. Two controls show that the test can fail.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dysonsim as ds
from benchmarks import cases, peers

LIMIT = 5.0
# Steps on the way, and arrived; networks.
MOMENTS = {
    cases.RBM: (150, 450), cases.TEACHER: (8, 80), cases.HIDDEN: (8, 80), cases.DEEP: (20, 200),
    "RBM 4x4, |B| = 16, k = 3": (150, 450), "RBM 10x10, |B| = 64, k = 3": (100,), "RBM 10x10, |B| = 16, k = 10": (100,),
    "tanh 10-10-1, |B| = 16": (20, 60), "tanh 3-32-16-1, one layer trained, |B| = 4": (30,),
}  # fmt: skip
NETWORKS = {cases.TEACHER: 4096, cases.HIDDEN: 4096}
FEW = 512
UNTESTED = (
    cases.LIBRARY,
    cases.BATCHED,
    f"{cases.BATCHED}, autograd",
)  # batched: tested on one thread; its own threads crawl on a busy machine
ALL = [(case, name) for case in MOMENTS for name in cases.contestants(cases.CASES[case]) if name not in UNTESTED]


def statistics(weights: np.ndarray) -> np.ndarray:
    """(networks, numbers): eigenvalues of WtW, their spacings, the matrix itself."""
    levels = ds.singular_values(weights) ** 2
    gram = np.einsum("rai,raj->rij", weights, weights)
    return np.hstack([levels, np.diff(levels, axis=1), gram.reshape(len(gram), -1)])


def mean_and_variance(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = statistics(weights)
    return values.mean(0), values.var(0, ddof=1) / len(values)


def largest_deviation(case: str, sgd: ds.SGD, ensembles: list[peers.Peer]) -> float:
    """In standard errors, over all statistics, between peers (advanced here) and dysonsim."""
    steps = MOMENTS[case]
    run = ds.simulate(sgd, NETWORKS.get(case, FEW), steps[-1], seed=11, record_steps=steps, keep_weights=True)
    worst = 0.0
    for record, count in enumerate(np.diff(steps, prepend=0)):
        for ensemble in ensembles:
            ensemble.advance(int(count))
        mine, my_error = mean_and_variance(run.weights[:, record])
        theirs, their_error = mean_and_variance(np.concatenate([ensemble.weights() for ensemble in ensembles]))
        with np.errstate(invalid="ignore"):  # levels that are 0 have no error
            worst = max(worst, float(np.nanmax(np.abs(mine - theirs) / np.sqrt(my_error + their_error))))
    return worst


def ensembles_of(case: str, name: str, dtype: str) -> list[peers.Peer]:
    make = cases.contestants(cases.CASES[case])[name]
    seeds = range(64) if name == cases.SINGLE else [5]
    return [make(cases.CASES[case].sgd, NETWORKS.get(case, FEW), dtype, 1000 + seed, 2) for seed in seeds]


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("case", "name"), ALL)
def test_a_peer_trains_the_same_networks(case, name, dtype):
    assert largest_deviation(case, cases.CASES[case].sgd, ensembles_of(case, name, dtype)) < LIMIT


@pytest.mark.parametrize(
    ("case", "change"),
    [
        (cases.RBM, {"gibbs_steps": 1}),
        (cases.TEACHER, {"gradient_noise": 0.12}),
        (cases.HIDDEN, {"output_layer": np.diag([1.0, 1.6])}),
    ],
)
def test_another_model_is_noticed(case, change):
    sgd = cases.CASES[case].sgd
    other = replace(sgd, model=replace(sgd.model, **change))
    assert largest_deviation(case, other, ensembles_of(case, cases.NUMPY, "float64")) > 1.5 * LIMIT


def test_large_networks_are_timed_in_the_same_steps():
    sgd = cases.rbm(n=cases.WITHOUT_SPECTRA)
    whole, steps = (make(sgd, 40, "float64", 3, 2) for make in (cases.library, cases.library_steps))
    whole.advance(6)
    steps.advance(2)
    steps.advance(4)
    np.testing.assert_array_equal(whole.weights(), steps.weights())


def test_pytorch_peers_were_there():
    if not peers.HAS_TORCH:
        pytest.skip("PyTorch is not installed: its peers were left out")
    assert cases.BATCHED_1 in cases.contestants(cases.CASES[cases.RBM])
