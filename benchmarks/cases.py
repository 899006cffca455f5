"""What is timed: networks and batches of several sizes, on two threads, and who trains them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np

import dysonsim as ds
from benchmarks import peers
from benchmarks.peers import Peer, numpy, on_threads
from dysonsim.ensembles.rounds import Ensembles, advance_in_rounds
from dysonsim.ensembles.simulate import _split

NETWORKS = 1024
THREADS = 2
DTYPES = ("float32", "float64")
WITHOUT_SPECTRA = 20  # units from which dysonsim is timed in its steps alone


@dataclass(frozen=True)
class Case:
    """What is trained, and at least how many times as fast as the faster of the two PyTorch batched it should be.

    all_peers: beside everyone; else beside PyTorch batched alone. most: microseconds of an update and thread, at most.
    """

    sgd: ds.SGD
    bars: dict[str, float]
    networks: int = NETWORKS
    all_peers: bool = False
    most: float | None = None


def rbm(n: int = 10, batch: int = 16, k: int = 3) -> ds.SGD:
    """The scalar field of the papers."""
    return ds.SGD(ds.GaussianRBM.scalar_field(n_visible=n, mass=2.0, mu=3.0, gibbs_steps=k), 0.1, batch)


def neural() -> ds.SGD:
    """Both layers of a tanh network, with label noise."""
    random = np.random.default_rng(0)
    teacher = [random.normal(size=shape) / 10**0.5 for shape in ((10, 10), (1, 10))]
    return ds.SGD(ds.NeuralNetwork((10, 10, 1), "tanh", teacher, label_noise=0.1, init="normal"), 0.05, 16)


def phase_network() -> ds.SGD:
    """Train the network of the phase diagram, with a teacher and a data set of its own."""
    trained = False, True, False
    return ds.SGD(ds.NeuralNetwork((3, 32, 16, 1), trained=trained, dataset_size=4000, init="normal"), 0.1, 4, 0.2)


def both(bar: float) -> dict[str, float]:
    return dict.fromkeys(DTYPES, bar)


def deep(layers: int, n: int = 10) -> ds.SGD:
    """All layers trained, with label noise."""
    return ds.SGD(ds.DeepLinearNetwork(2 * np.eye(n), (n,) * (layers - 1), label_noise=0.2), 0.01, 16)


RBM = "RBM 10x10, |B| = 16, k = 3"
TEACHER, HIDDEN = "teacher-student 2x2, |B| = 16", "hidden layer 2x2, |B| = 16"
DEEP = "deep linear 10x10, L = 2, |B| = 16"
TEACHER_SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.1, 16)
HIDDEN_SGD = ds.SGD(ds.LinearNetwork(2 * np.eye(2), np.diag([1.0, 1.5]), gradient_noise=0.1), 0.1, 16)
CASES = {
    RBM: Case(rbm(), {"float32": 12.0, "float64": 30.0}, all_peers=True),
    TEACHER: Case(TEACHER_SGD, both(20.0), all_peers=True),
    HIDDEN: Case(HIDDEN_SGD, both(20.0), all_peers=True),
    "RBM 4x4, |B| = 16, k = 3": Case(rbm(n=4), both(5.0)),
    "RBM 20x20, |B| = 16, k = 3": Case(rbm(n=20), both(5.0)),
    "RBM 50x50, |B| = 16, k = 3": Case(rbm(n=50), both(5.0)),
    "RBM 10x10, |B| = 4, k = 3": Case(rbm(batch=4), both(5.0)),
    "RBM 10x10, |B| = 64, k = 3": Case(rbm(batch=64), both(5.0)),
    "RBM 10x10, |B| = 16, k = 1": Case(rbm(k=1), both(5.0)),
    "RBM 10x10, |B| = 16, k = 10": Case(rbm(k=10), both(5.0)),
    DEEP: Case(deep(2), {"float32": 4.0, "float64": 8.0}),
    "deep linear 10x10, L = 3, |B| = 16": Case(deep(3), {"float32": 4.0, "float64": 8.0}),
    "RBM 128x128, |B| = 16, k = 3, 16 networks": Case(rbm(n=128), both(1.0), networks=16),
    "tanh 10-10-1, |B| = 16": Case(neural(), {"float32": 4.0, "float64": 8.0}),
    "tanh 3-32-16-1, one layer trained, |B| = 4": Case(phase_network(), {}, most=1.0),
}

LIBRARY, TUNED, NUMPY, SINGLE = "dysonsim", "PyTorch tuned", "NumPy", "PyTorch one by one, 1 thread"
BATCHED, BATCHED_1 = "PyTorch batched", "PyTorch batched, 1 thread"
# Bars are for the fastest of those whose names begin with "PyTorch batched".


def contestants(case: Case) -> dict[str, Callable[..., Peer]]:
    """Name -> function of (sgd, networks, dtype, seed, threads) that sets it up; PyTorch's only where it is there."""
    is_rbm, is_neural = (isinstance(case.sgd.model, kind) for kind in (ds.GaussianRBM, ds.NeuralNetwork))
    everyone: dict[str, Callable[..., Peer]] = {LIBRARY: library}
    if case.sgd.n >= WITHOUT_SPECTRA:
        everyone[LIBRARY] = library_steps
    if peers.HAS_TORCH and isinstance(case.sgd.model, ds.DeepLinearNetwork):
        from benchmarks.peers import torch_deep

        everyone |= {BATCHED: torch_deep.by_hand, BATCHED_1: one_thread(torch_deep.by_hand)}
        for name, make in (("autograd", torch_deep.autograd), ("batch at once", torch_deep.at_once)):
            everyone |= {f"{BATCHED}, {name}": make, f"{BATCHED}, {name}, 1 thread": one_thread(make)}
    elif peers.HAS_TORCH:
        from benchmarks.peers import torch

        batched = torch.rbm if is_rbm else torch.neural if is_neural else torch.linear
        everyone |= {BATCHED: batched, BATCHED_1: one_thread(batched)}
        if is_neural:
            autograd = torch.neural_autograd
            everyone |= {f"{BATCHED}, autograd": autograd, f"{BATCHED}, autograd, 1 thread": one_thread(autograd)}
        tuned = torch.rbm_at_once if is_rbm else partial(torch.linear, normals="float32")
        if case.all_peers:
            everyone[TUNED] = partial(on_threads, tuned)
        if case.all_peers and is_rbm:
            everyone[SINGLE] = one_thread(torch.rbm_single)
    if case.all_peers:
        everyone[NUMPY] = partial(on_threads, numpy.rbm if is_rbm else numpy.linear)
    return everyone


def set_up(case: Case, dtype: str, threads: int = THREADS, seed: int = 1) -> dict[str, Peer]:
    """All contestants of a case, ready to advance."""
    return {name: make(case.sgd, case.networks, dtype, seed, threads) for name, make in contestants(case).items()}


def one_thread(make: Callable[..., Peer]) -> Callable[..., Peer]:
    return lambda sgd, networks, dtype, seed, threads: make(sgd, networks, dtype, seed, 1)


def library(sgd: ds.SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """dysonsim as its users call it: initial weights and the spectrum after the last step are part of every call."""
    runs: list[ds.Run] = []

    def advance(steps: int) -> None:
        runs[:] = [ds.simulate(sgd, networks, steps, seed, keep_weights=True, dtype=dtype, threads=threads)]

    return Peer(networks, advance, lambda: runs[-1].weights[:, -1])


def steps_alone(ensembles: list, begin: int, end: int, workers: int) -> None:
    """Advance ensembles as `simulate` does, and record nothing."""

    def move(index: int, first: int, count: int) -> None:
        ensembles[index].advance(first, count)

    def nothing(*_: object) -> None:
        pass

    many = Ensembles(len(ensembles), move, nothing, nothing)
    advance_in_rounds(many, begin, end, np.empty(0, int), workers, False)


def library_steps(sgd: ds.SGD, networks: int, dtype: str, seed: int, threads: int, device: str = "cpu") -> Peer:
    """What `simulate` does between two records, without start and spectra: like the peers, in steps alone.

    A benchmark has time for few steps of a large network; one spectrum would weigh beside them as it never does in use.
    """
    program = sgd.prepare(device, dtype, threads)
    start = sgd.start(networks, seed)
    workers = threads if program.parallel else 1
    ranges = _split(networks, program.width, program.unit, workers)
    ensembles = [program.open(start[a:b], a, seed) for a, b in ranges]
    while_running = getattr(program, "while_running", nullcontext)
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        with while_running():
            steps_alone(ensembles, done, done + steps, workers)
        done += steps

    def weights() -> np.ndarray:
        return sgd.weights(np.concatenate([ensemble.state() for ensemble in ensembles]))

    return Peer(networks, advance, weights)
