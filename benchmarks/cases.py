"""What is timed: three networks at |B| = 16, 1024 at a time on two threads, and who trains them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import dysonsim as ds
from benchmarks import peers
from benchmarks.peers import Peer, on_threads

NETWORKS = 1024
THREADS = 2
DTYPES = ("float32", "float64")

RBM, TEACHER, HIDDEN = "RBM 10x10, k = 3", "teacher-student 2x2", "hidden layer 2x2"
CASES = {
    RBM: ds.SGD(ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0, gibbs_steps=3), 0.1, 16),
    TEACHER: ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.1, 16),
    HIDDEN: ds.SGD(ds.LinearNetwork(2 * np.eye(2), np.diag([1.0, 1.5]), gradient_noise=0.1), 0.1, 16),
}

LIBRARY, TUNED, NUMPY, SINGLE = "dysonsim", "PyTorch tuned", "NumPy", "PyTorch one by one, 1 thread"
BATCHED, BATCHED_1 = "PyTorch batched", "PyTorch batched, 1 thread"
# At least so many times as fast as the faster of the two PyTorch batched.
BARS = {(RBM, "float32"): 5.0, (RBM, "float64"): 15.0, (TEACHER, "float32"): 10.0, (TEACHER, "float64"): 10.0}


def contestants(case: str) -> dict[str, Callable[..., Peer]]:
    """Name -> function of (sgd, networks, dtype, seed, threads) that sets it up; PyTorch's only where it is there."""
    everyone: dict[str, Callable[..., Peer]] = {LIBRARY: library}
    if peers.torch is not None and case == RBM:
        everyone |= {BATCHED: peers.torch_rbm, BATCHED_1: one_thread(peers.torch_rbm)}
        everyone[TUNED] = partial(on_threads, peers.torch_rbm_at_once)
        everyone[SINGLE] = one_thread(peers.torch_rbm_single)
    elif peers.torch is not None:
        everyone |= {BATCHED: peers.torch_linear, BATCHED_1: one_thread(peers.torch_linear)}
        everyone[TUNED] = partial(on_threads, partial(peers.torch_linear, normals="float32"))
    everyone[NUMPY] = partial(on_threads, peers.numpy_rbm if case == RBM else peers.numpy_linear)
    return everyone


def one_thread(make: Callable[..., Peer]) -> Callable[..., Peer]:
    return lambda sgd, networks, dtype, seed, threads: make(sgd, networks, dtype, seed, 1)


def library(sgd: ds.SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """dysonsim as its users call it: initial weights and the spectrum after the last step are part of every call."""
    runs: list[ds.Run] = []

    def advance(steps: int) -> None:
        runs[:] = [ds.simulate(sgd, networks, steps, seed, keep_weights=True, dtype=dtype, threads=threads)]

    return Peer(networks, advance, lambda: runs[-1].weights[:, -1])
