"""SGD with momentum and weight decay, and Adam: against torch.optim step by step, on every device."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from own_models import MODELS as OWN

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.backend.reference import ReferenceDriver
from dysonsim.kernels.networks import linear
from dysonsim.models.linear import training

PAIR = ds.TeacherStudent(2 * np.eye(2), label_noise=0.5)
RATE, BATCH = 0.02, 4
MODELS = {
    "teacher-student": ds.TeacherStudent(np.diag([1.0, 2.0]), gradient_noise=0.1, label_noise=0.2),
    "network": ds.LinearNetwork([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], [[1.0, 0.3], [0.0, 2.0]], label_noise=0.2),
    "rbm": ds.GaussianRBM(np.diag([2.0, 2.0, 4.0]), mu=3.0),
    "rbm in a basis": ds.GaussianRBM.scalar_field(6, 1.5, 2.8, n_hidden=2),
    "own": OWN["autoencoder"],
    "own memory": OWN["momentum"],
}
OPTIMIZERS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.5, "nesterov": True},
    "decay": {"weight_decay": 0.1},
    "momentum and decay": {"momentum": 0.8, "weight_decay": 0.05},
    "adam": {"beta1": 0.9},
    "adam of its own": {"beta1": 0.8, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1},
}


def process_of(model, given, rate=RATE, batch=BATCH, **also):
    return (ds.Adam if "beta1" in given else ds.SGD)(model, rate, batch, **given, **also)


def of_torch(given):
    torch = pytest.importorskip("torch")
    if "beta1" not in given:
        return partial(torch.optim.SGD, lr=RATE, **given)
    betas = given["beta1"], given.get("beta2", 0.999)
    return partial(
        torch.optim.Adam, lr=RATE, betas=betas, eps=given.get("eps", 1e-8), weight_decay=given.get("weight_decay", 0.0)
    )


def largest_difference(model, given, device, steps=8, networks=5):
    """Train by the optimizer's kernel, and by torch on the gradients of the model's own step at torch's weights."""
    torch = pytest.importorskip("torch")
    process, plain = process_of(model, given, init_scale=0.5), model.kernel(RATE, BATCH)
    basis = np.eye(model.n) if plain.basis is None else plain.basis
    size, start = plain.weights, process.start(networks, 3)

    def turned(weights, by):
        return weights if plain.basis is None else (weights.reshape(networks, -1, model.n) @ by).reshape(networks, -1)

    whole = device.prepare(process.kernel(), "float64").open(start, 0, 7)
    inner, state, worst = device.prepare(plain, "float64"), start[:, : plain.state].copy(), 0.0
    weights = torch.tensor(turned(state[:, :size], basis.T))
    optimizer = of_torch(given)([weights])
    for step in range(steps):
        one = inner.open(state, 0, 7)
        one.advance(step, 1)
        after = one.state()
        weights.grad = torch.tensor(turned((state[:, :size] - after[:, :size]) / RATE, basis.T))
        optimizer.step()
        state = after.copy()
        state[:, :size] = turned(weights.numpy(), basis)
        whole.advance(step, 1)
        worst = max(worst, float(np.abs(whole.state()[:, : plain.state] - state).max()))
    return worst


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_torch_step_by_step_in_plain_python(model, optimizer):
    """The kernels' text, whose compiled numbers are those of plain Python (tests/backend)."""
    assert largest_difference(MODELS[model], OPTIMIZERS[optimizer], ReferenceDriver(width=5)) < 1e-12


@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
def test_torch_step_by_step_compiled(optimizer):
    assert largest_difference(PAIR, OPTIMIZERS[optimizer], driver("cpu"), steps=50) < 1e-12
    # control: another momentum
    other = OPTIMIZERS[optimizer] | ({"beta1": 0.89} if "beta1" in OPTIMIZERS[optimizer] else {"momentum": 0.51})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "of_torch", lambda given, right=of_torch: right(other))
        assert largest_difference(PAIR, OPTIMIZERS[optimizer], driver("cpu")) > 1e-5


@pytest.mark.parametrize("optimizer", ["momentum and decay", "adam of its own"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_update_on_numpy_stacks_is_its_kernel(optimizer, dtype):
    process = process_of(OWN["momentum"], OPTIMIZERS[optimizer])
    ends = []
    for program in (process.reference(dtype, "numpy"), ReferenceDriver().prepare(process.kernel(), dtype)):
        ensemble = program.open(process.start(7, 1), 0, 3)
        ensemble.advance(0, 2)
        ensemble.advance(2, 4)
        ends.append(ensemble.state())
    np.testing.assert_allclose(*ends, rtol=0, atol={"float64": 1e-13, "float32": 2e-5}[dtype])
    run = ds.simulate(process, 3, 2, seed=1, device="numpy", keep_weights=True)
    assert {name: matrix.shape for name, matrix in process.model.matrices(run.state).items()} == {
        "W": (3, 2, 3), "V": (3, 2, 3)
    }  # fmt: skip
    assert np.array_equal(process.model.matrices(run.state)["W"], run.weights[:, -1])
    with pytest.raises(ValueError, match="must be"):
        process.model.matrices(run.state[:, :-1])


def both_ways(model, given):
    """Networks one at a time with BLAS, and side by side in plain Python."""
    process = process_of(model, given, rate=0.002)
    large = process.kernel_on("cpu")
    assert large.whole
    assert not process.kernel().whole
    start = process.start(2, 1)
    ends = []
    for device, kernel in (driver("cpu"), large), (ReferenceDriver(width=2), process.kernel()):
        ensemble = device.prepare(kernel, "float64").open(start, 0, 5)
        ensemble.advance(0, 3)
        ends.append(ensemble.state())
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-6)  # normals: float32 polynomials


def test_large_networks_are_trained_alike(monkeypatch):
    monkeypatch.setattr(training, "LARGE", 3)
    both_ways(ds.TeacherStudent(np.eye(3), label_noise=0.1), {"beta1": 0.9})


@pytest.mark.slow
def test_large_machines_in_a_basis_are_trained_alike():
    both_ways(ds.GaussianRBM(np.diag(np.linspace(2, 5, 96)), mu=3.0), {"beta1": 0.9})
    both_ways(ds.TeacherStudent(np.eye(64), label_noise=0.1), {"momentum": 0.9, "weight_decay": 0.1})


@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
def test_runs_are_the_same_in_pieces(optimizer):
    """The counter of Adam's bias goes on after a resume."""
    simulate = partial(ds.simulate, process_of(PAIR, OPTIMIZERS[optimizer]), seed=5, keep_weights=True)
    whole = simulate(21, 9, record_every=3, threads=2)
    again = simulate(21, 9, record_every=3, resume=simulate(21, 3, record_every=3))
    part = simulate(8, 9, record_every=3, first_replica=13)
    for name in ("spectra", "weights"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
        assert np.array_equal(getattr(part, name), getattr(whole, name)[13:])
    assert np.array_equal(again.state, whole.state)
    assert np.array_equal(part.state, whole.state[13:])
    assert np.array_equal(whole.weights[:, -1].reshape(21, -1), whole.state[:, :4])


def test_plain_sgd_keeps_its_kernel():
    sgd, kernel = ds.SGD(PAIR, 0.1, 4), PAIR.kernel(0.1, 4)
    assert sgd.kernel().build is kernel.build is linear.build
    assert sgd.kernel().sizes == kernel.sizes
    assert (sgd.kernel().state, sgd.kernel().scratch) == (kernel.state, kernel.scratch)
    assert ds.SGD(PAIR, 0.1, 4, momentum=0.0, weight_decay=0.0) == sgd
    assert ds.SGD(PAIR, 0.1, 4, momentum=0.9).kernel().build is not linear.build
    assert sgd.effective() is sgd
