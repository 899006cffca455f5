"""`watch`: what it records is what the training did, and the training is what it would be without."""

from __future__ import annotations

import copy
import random
import threading
import types
import warnings

import numpy as np
import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")

from watched import hooks, net, sgd, spectrum, train  # noqa: E402

from dysonsim.training import recorder  # noqa: E402
from dysonsim.training.matrices import Matrix  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_what_is_recorded_is_what_the_training_did(dtype):
    def steps(count):
        model = net(dtype=dtype)
        optimizer = sgd(model)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        weights = [copy.deepcopy(model.state_dict())]
        for _ in range(count):
            train(model, optimizer, 1, schedule=schedule)
            weights.append(copy.deepcopy(model.state_dict()))
        return weights

    model = net(dtype=dtype)
    optimizer = sgd(model)
    with ds.watch(model, every=3, sampling="with_replacement") as rec:
        train(model, optimizer, 8, schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9))
    expected = steps(8)
    assert rec.layers == ("0", "3")
    assert rec.steps.tolist() == [0, 3, 6]
    for name, layer in rec.items():
        at = {s: spectrum(expected[s][f"{name}.weight"]) for s in (0, 1, 3, 4, 6, 7)}
        np.testing.assert_allclose(layer.singular_values, [at[0], at[3], at[6]], atol=1e-12)
        np.testing.assert_allclose(layer.kicks, [at[s + 1] - at[s] for s in (0, 3, 6)], atol=2e-12)
        assert np.abs(layer.kicks).max() > 1e-3
        np.testing.assert_allclose(layer.learning_rate, [0.1, 0.1 * 0.9**2, 0.1 * 0.9**5])
        assert layer.batch_size.tolist() == [5, 5, 5]
        assert layer.shape == tuple(expected[0][f"{name}.weight"].shape)
        initial = rec.initial[name]
        assert initial.dtype == (np.float64 if dtype == torch.float64 else np.float32)
        np.testing.assert_array_equal(initial, expected[0][f"{name}.weight"].to(torch.float64).numpy())
    assert rec.optimizer["name"] == "SGD"
    assert rec.optimizer["momentum"] == 0.9
    assert rec.sampling == "with_replacement"


def test_every_step_has_the_kick_to_the_next():
    model = net()
    with ds.watch(model, every=1) as rec:
        train(model, sgd(model), 4)
    values = rec["0"].singular_values
    np.testing.assert_array_equal(rec["0"].kicks[:-1], np.diff(values, axis=0))
    assert np.isnan(rec["0"].kicks[-1]).all()


def test_the_largest_alone_and_no_kicks():
    both = {}
    for name, options in {"all": {}, "some": {"top": 4, "kicks": False}}.items():
        model = net()
        with ds.watch(model, every=2, **options) as both[name]:
            train(model, sgd(model))
    np.testing.assert_array_equal(both["some"]["0"].singular_values, both["all"]["0"].singular_values[:, 2:])
    np.testing.assert_array_equal(both["some"]["3"].singular_values, both["all"]["3"].singular_values)
    assert both["some"]["0"].kicks is None
    assert both["some"]["0"].learning_rate.tolist() == [0.1] * 4


OPTIMIZERS = {
    "SGD": lambda m: torch.optim.SGD(m.parameters(), 0.1, 0.9, nesterov=True),
    "Adam": lambda m: torch.optim.Adam(m.parameters(), 0.01),
    "fused AdamW": lambda m: torch.optim.AdamW(m.parameters(), 0.01, fused=True),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_is_the_same_bit_for_bit(make):
    """With dropout, so that a random number more or less shows."""
    ends = []
    for recorded in (False, True):
        model = net()
        optimizer = make(model)
        torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
        if recorded:
            with ds.watch(model, every=2, on_record=lambda rec: rec.steps):
                train(model, optimizer, 7)
        else:
            train(model, optimizer, 7)
        drawn = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002
        ends.append(([p.tolist() for p in model.parameters()], optimizer.state_dict()["state"], drawn))
        assert not any(p._backward_hooks for p in model.parameters())
    assert str(ends[0]) == str(ends[1])


def test_samples_of_a_step_are_those_that_gradients_came_from():
    model, other = net(), net()
    optimizer, foreign = sgd(model), sgd(other)
    with ds.watch(model, every=1) as rec:
        train(model, optimizer, 2, accumulate=4)
        with torch.no_grad():
            model(torch.randn(100, 8))
        model.eval()
        model(torch.randn(100, 8))
        model.train()
        train(other, foreign, 3)
        train(model, optimizer, 1, batch=7)
        optimizer.zero_grad()
        model(torch.randn(2, 8)), model(torch.randn(3, 8)).sum().backward()  # before one backward pass
        optimizer.step()
    assert rec.steps.tolist() == [0, 1, 2, 3, 4]
    assert rec["0"].batch_size.tolist() == [20, 20, 20, 7, 5]


def test_a_batch_that_is_given_counts():
    model = net()
    with ds.watch(model, every=2, batch_size=11) as rec:
        assert hooks(model)[1:] == (0, 0)
        train(model, sgd(model))
    assert set(rec["0"].batch_size) == {11}


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_a_scaler_skips_is_none_and_its_samples_do_not_count(fused):
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, fused=fused)
    with ds.watch(model, every=1) as rec:
        train(model, optimizer, 6, scaler=torch.amp.GradScaler("cpu", init_scale=2.0), bad=(0, 2, 3))
    assert rec.steps.tolist() == [0, 1, 2, 3]
    assert rec["0"].batch_size.tolist() == [5] * 4


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [3, 40, 200])
def test_weights_that_are_not_finite_end_nothing(bad, dtype, size):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(size, size), torch.nn.Linear(size, 2)).to(dtype)
    rng = np.random.default_rng(size)
    with pytest.warns(RuntimeWarning, match="layer '0' are not finite after step 1") as caught:  # noqa: PT031, SIM117
        with ds.watch(model, every=1, batch_size=1) as rec:
            for _ in range(3):
                with torch.no_grad():
                    model[0].weight[rng.integers(size), rng.integers(size)] = bad
                rec.step()
    assert len([w for w in caught if "finite" in str(w.message)]) == 1
    assert np.isnan(rec["0"].singular_values).all(axis=1).tolist() == [False, True, True, True]
    assert np.isfinite(rec["1"].singular_values).all()


def test_recording_that_takes_too_long_is_said_with_what_would_do(monkeypatch):
    """On a clock of its own: 10 ms a step, 2 ms a spectrum of two layers, so 4 ms a record with its kick."""
    now, spectrum = [0.0], Matrix.singular_values

    def slow(matrix):
        now[0] += 0.001
        return spectrum(matrix)

    monkeypatch.setattr(Matrix, "singular_values", slow)
    monkeypatch.setattr(recorder, "time", types.SimpleNamespace(process_time=lambda: now[0], perf_counter=None))

    monkeypatch.setattr(recorder, "AFTERMATH", 0.0)
    monkeypatch.setattr(recorder, "HOOK", 0.0)

    def run(every, steps, kicks=True, step=0.01):
        with warnings.catch_warnings(record=True) as caught, ds.watch(net(), every=every, kicks=kicks) as rec:
            warnings.simplefilter("always")
            for _ in range(steps):
                now[0] += step
                rec.step(learning_rate=0.1, batch_size=1)
        return rec, [str(w.message) for w in caught]

    rec, (text,) = run(every=1, steps=100, kicks=False)
    assert "recording takes 17% of the time, 2 ms for 10 ms of a step; every=7 would take less than 5%" in text
    assert rec.overhead == pytest.approx(0.2 / 1.2, rel=0.02)
    assert "every=13 would" in run(every=2, steps=100)[1][0]
    assert not run(every=1, steps=20, kicks=False)[1]  # too short to say
    for every, kicks in ((5, False), (9, True)):
        rec, texts = run(every, 1000, kicks)
        assert not texts
        assert 0.03 < rec.overhead < 0.05
    monkeypatch.setattr(recorder, "AFTERMATH", 0.0005)
    monkeypatch.setattr(recorder, "HOOK", 0.0002)  # of 12 ms with a record, 2.7 are its cost; 9.28 * 3/97 - .2 for 2.5
    rec, (text,) = run(every=1, steps=100, kicks=False)
    assert rec.overhead == pytest.approx(0.27 / 1.2, rel=0.02)
    assert "2.5 ms for 9.28 ms" in text
    assert "every=29 would take less than 5%" in text
    assert "counting them alone takes more" in run(every=1, steps=1000, kicks=False, step=0.003)[1][0]


def test_models_at_once_and_in_threads():
    models = [net(seed) for seed in range(4)]
    alone = {}
    for seed, model in enumerate(models):
        reference = copy.deepcopy(model)
        with ds.watch(reference, every=2) as alone[seed]:
            move(reference, seed)
    with ds.watch(models[0], every=2) as rec0, ds.watch(models[1], every=2) as rec1:
        move(models[0], 0), move(models[1], 1)
    recorded = {0: rec0, 1: rec1}

    def run(seed):
        with ds.watch(models[seed], every=2) as recorded[seed]:
            move(models[seed], seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (2, 3)]
    [t.start() for t in threads], [t.join() for t in threads]
    for seed, rec in alone.items():
        np.testing.assert_array_equal(recorded[seed]["0"].singular_values, rec["0"].singular_values)
        assert recorded[seed].steps.tolist() == [0, 2, 4, 6]


def move(model, seed):
    """A training whose random numbers no other thread draws."""
    optimizer, x = sgd(model), torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 5, 8))).float()
    model[2].eval()
    for k in range(6):
        optimizer.zero_grad()
        model(x[k]).square().mean().backward()
        optimizer.step()


def test_weights_are_neither_kept_nor_attached():
    model = net()
    with ds.watch(model, every=1) as rec, torch.no_grad():
        model[0].weight.zero_()
        rec.step(learning_rate=0.1, batch_size=1)
    assert (rec["0"].singular_values[1] == 0).all()
    assert rec.initial["0"].any()
    with torch.inference_mode(), ds.watch(model) as rec:
        rec.step(learning_rate=0.1, batch_size=1)
    assert model[0].weight.grad is None
