"""Updates in matrix notation: the kernel, its reference on stacks, and NumPy for one network give the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from another_python import python
from own_models import MODELS, SQUARE, Autoencoder, Decay, Momentum, TeacherStudent

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.backend.reference import ReferenceDriver
from dysonsim.kernels.traced import text as written
from dysonsim.models.traced.noise import Draws, StackNoise
from dysonsim.models.traced.update import layout_of

RATE, SEED, REPLICAS = 0.1, 2**50 + 3, 5


def start_of(model, replicas=REPLICAS):
    state = np.random.default_rng(1).normal(size=(replicas, layout_of(model).size))
    return state * 0.7


def moved(program, start, steps=3):
    """State after some steps, which go on in the middle."""
    ensemble = program.open(start, 2, SEED)
    ensemble.advance(0, 1)
    ensemble.advance(1, steps - 1)
    return ensemble.state()


def close(found, wanted, dtype):
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3, 21])
@pytest.mark.parametrize("name", MODELS)
def test_the_text_in_plain_python_gives_the_numbers_of_the_reference(name, batch):
    """Every place that it reads or writes is checked as well."""
    model = MODELS[name]
    for dtype in ("float64", "float32") if batch == 3 else ("float64",):
        start = start_of(model)
        reference = moved(model.reference(RATE, batch, dtype, "numpy"), start)
        found = moved(ReferenceDriver(4, checked=True).prepare(model.kernel(RATE, batch), dtype), start)
        assert found.dtype == reference.dtype == dtype
        close(found, reference, dtype)
        assert np.abs(found - start).max() > 1e-3 or (name, batch) == ("whole batch", 1)


class OneNoise:
    """The random inputs of one network, as plain arrays."""

    def __init__(self, stacks, network):
        self.stacks, self.network = stacks, network

    def __getattr__(self, name):
        def drawn(*arguments, **keywords):
            found = getattr(self.stacks, name)(*arguments, **keywords)
            many = found if isinstance(found, tuple) else (found,)
            out = tuple(np.asarray(stack)[self.network] for stack in many)
            return out if isinstance(found, tuple) else out[0]

        return drawn


@pytest.mark.parametrize("name", MODELS)
def test_stacks_give_what_numpy_gives_for_one_network(name):
    """The notation means what NumPy means by it."""
    model, batch = MODELS[name], 3
    layout, start = layout_of(model), start_of(model)
    ensemble = model.reference(RATE, batch, "float64", "numpy").open(start, 2, SEED)
    ensemble.advance(4, 1)
    draws = Draws("numpy", "float64", REPLICAS, 2, SEED)
    for network in range(REPLICAS):
        noise = OneNoise(StackNoise(batch, draws, 4), network)
        state = [matrix[network] for matrix in layout.cut(start).values()]
        new = model.update(*state, noise, RATE, batch)
        for matrix, (key, found) in zip(
            new if isinstance(new, tuple) else (new,), layout.cut(ensemble.state()).items(), strict=True
        ):
            np.testing.assert_allclose(found[network], matrix, rtol=1e-13, atol=1e-13, err_msg=key)


@pytest.mark.parametrize(("name", "dtype"), [("functions", "float64")])
def test_compiled_kernels_give_the_numbers_of_the_reference(name, dtype):
    model, start = MODELS[name], start_of(MODELS[name], 37)
    found = moved(driver("cpu").prepare(model.kernel(RATE, 5), dtype), start)
    reference = moved(model.reference(RATE, 5, dtype, "cpu"), start)
    close(found, reference, dtype)
    slipped = start.copy()
    slipped[-1] += 1e-6 if dtype == "float64" else 1e-2
    with pytest.raises(AssertionError):  # the control
        close(found, moved(model.reference(RATE, 5, dtype, "cpu"), slipped), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_passes_its_check(name):
    for batch in (1, 4, 33):
        result = ds.check(MODELS[name], 0.1, batch)
        assert set(result.deviations) >= {(d, t) for d in ("numpy", "cpu") for t in ("float64", "float32")}
        assert max(value for (_, dtype), value in result.deviations.items() if dtype == "float64") < 1e-12


def test_the_numbers_are_those_of_the_kernel_by_hand():
    """Sample by sample, `ds.TeacherStudent` has the same random numbers, at any batch size."""
    for batch in (3, 21):
        by_hand = ds.SGD(ds.TeacherStudent(SQUARE, gradient_noise=0.2, sampling="sample_by_sample"), RATE, batch)
        traced = ds.SGD(TeacherStudent(SQUARE, 0.2), RATE, batch)
        one, other = (ds.simulate(sgd, 9, 4, seed=2, keep_weights=True, threads=1) for sgd in (by_hand, traced))
        np.testing.assert_allclose(other.weights, one.weights, rtol=1e-12, atol=1e-13)
    for sgd in (by_hand, traced):
        looked = ds.simulate(sgd, 9, 4, seed=2, keep_weights=True, device="numpy")
        np.testing.assert_allclose(looked.weights, one.weights, rtol=0, atol=1e-5)  # normals are of single precision


def test_neither_threads_nor_chunks_nor_a_resumption_change_a_number():
    sgd = ds.SGD(MODELS["momentum"], RATE, 5)
    whole = ds.simulate(sgd, 300, 6, seed=3, threads=1, record_every=3)
    for run in (
        ds.simulate(sgd, 300, 6, seed=3, threads=3, record_every=3),
        ds.simulate(sgd, 300, 6, seed=3, threads=1, resume=ds.simulate(sgd, 300, 3, seed=3, threads=2)),
    ):
        np.testing.assert_array_equal(run.spectra, whole.spectra)
        np.testing.assert_array_equal(run.state, whole.state)
    fewer = ds.simulate(sgd, 7, 6, seed=3, threads=1)
    np.testing.assert_array_equal(fewer.state, whole.state[:7])


def test_the_text_knows_neither_constants_nor_the_batch_size():
    """So that other ones compile nothing."""
    for name in ("decay", "teacher-student", "momentum", "autoencoder", "sums"):
        one, other = (MODELS[name].kernel(rate, batch).sizes for rate, batch in ((0.1, 8), (0.3, 800)))
        assert one == other
    assert Decay(SQUARE, 0.5, 0.2).kernel(0.1, 4).sizes == Decay(3 * SQUARE, 0.7, 0.0).kernel(0.1, 4).sizes
    small, large = (MODELS["whole batch"].kernel(0.1, batch) for batch in (8, 9))  # which needs all samples
    assert small.sizes != large.sizes
    assert MODELS["sums"].kernel(0.1, 10**6).scratch == MODELS["sums"].kernel(0.1, 1).scratch


def test_all_matrices_are_at_hand_and_start_where_they_should():
    model = MODELS["vectors"]
    sgd = ds.SGD(model, RATE, 4, init_scale=0.3)
    run = ds.simulate(sgd, 400, 1, seed=1, record_steps=[0, 1], keep_weights=True, device="numpy")
    found = model.matrices(run.state)
    assert {name: matrix.shape[1:] for name, matrix in found.items()} == {
        "W": (3, 2),
        "b": (3,),
        "count": (),
        "mean": (2,),
    }
    np.testing.assert_array_equal(found["count"], 1.0)
    np.testing.assert_array_equal(found["W"], run.weights[:, -1])
    start = model.matrices(sgd.start(400, 1))
    np.testing.assert_array_equal(start["mean"], np.tile([1.0, -1.0], (400, 1)))
    assert 0.28 < start["W"].std() < 0.32
    assert 0.27 < start["b"].std() < 0.33
    assert run.spectra.shape == (400, 2, 2)
    with pytest.raises(ValueError, match=r"state has shape \(400, 11\): must be \(replicas, 12\)"):
        model.matrices(run.state[:, 1:])


SECOND = """
    import sys; sys.path[:0] = sys.argv[1:]
    import numpy as np
    from dysonsim.backend import cpu
    from own_models import MODELS
    made, compiled = [], cpu.Compiled
    cpu.Compiled = lambda *arguments: made.append(compiled(*arguments)) or made[-1]
    ensemble = cpu.CpuDriver().prepare(MODELS["swap"].kernel(0.1, 4), "float64").open(np.ones((3, 12)), 0, 1)
    ensemble.advance(0, 3)
    print(*[kernel.from_disk for kernel in made], repr(float(ensemble.state().sum())))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    models = Path(__file__).parents[1] / "reference"
    first, second = (python(SECOND, models, DYSONSIM_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2))
    assert (first[:-1], second[:-1]) == (["False"], ["True"])
    assert first[-1] == second[-1]


def test_a_model_is_told_apart_by_its_constants():
    assert Decay(SQUARE, 0.5, 0.2) == Decay(SQUARE.copy(), 0.5, 0.2)
    assert Decay(SQUARE, 0.5, 0.2) != Decay(SQUARE, 0.5, 0.3)
    assert hash(Momentum(SQUARE)) == hash(Momentum(SQUARE.copy())) != hash(Momentum(2 * SQUARE))
    assert repr(Momentum(SQUARE)) == "Momentum(teacher=<2 x 2>, momentum=0.9)"
    assert MODELS["swap"] == MODELS["swap"] != MODELS["slices"]
    assert Decay(SQUARE.tolist(), 0.5, 0.2).weight_shape == (2, 2)
    assert Autoencoder(5, 3).weight_shape == (3, 5)


def test_a_run_is_resumed_by_the_same_update_only():
    class Plain(ds.Model):
        weight_shape = (2, 2)

        def __init__(self, pull):
            self.pull = pull

        def update(self, W, noise, learning_rate, batch_size):
            return W - learning_rate * self.pull * W

    def edited(self, W, noise, learning_rate, batch_size):
        return W - learning_rate * self.pull * W * W

    run = ds.simulate(ds.SGD(Plain(np.eye(2)), RATE, 4), 3, 2, seed=1, device="numpy")
    again = ds.SGD(Plain(np.eye(2)), RATE, 4)
    assert len(ds.simulate(again, 3, 4, seed=1, device="numpy", resume=run).steps) == 2
    with pytest.raises(ValueError, match="resume was made by"):
        ds.simulate(ds.SGD(Plain(2 * np.eye(2)), RATE, 4), 3, 4, seed=1, device="numpy", resume=run)
    before = again.model.fingerprint
    Plain.update = edited
    assert again.model.fingerprint != before


def test_a_constant_that_is_changed_on_the_way_is_two():
    class Buffer(ds.Model):
        weight_shape = (2, 2)

        def update(self, W, noise, learning_rate, batch_size):
            pull = np.zeros((2, 2))
            first = W - pull
            pull[0, 1] = 1.0
            return first - pull

    start = start_of(Buffer())
    found = moved(ReferenceDriver(4, checked=True).prepare(Buffer().kernel(RATE, 1), "float64"), start, steps=2)
    np.testing.assert_allclose(start - found, np.tile([0.0, 2.0, 0.0, 0.0], (REPLICAS, 1)), atol=1e-13)


def test_predictions_that_nobody_states_are_not_there():
    sgd = ds.SGD(MODELS["decay"], RATE, 4)
    for process in (ds.Langevin, ds.Dyson, ds.CoulombGas):
        with pytest.raises(NotImplementedError, match="Decay states no"):
            process(sgd)
    with pytest.raises(NotImplementedError, match="Decay states no prediction for mean_spacings"):
        sgd.mean_spacings()


def test_check_finds_a_kernel_that_differs(monkeypatch):
    """The control: a product that adds what it should take off."""
    monkeypatch.setitem(written.INFIX, "add", "-")
    with pytest.raises(RuntimeError, match="kernel and reference differ on numpy, float64"):
        ds.check(MODELS["swap"])
