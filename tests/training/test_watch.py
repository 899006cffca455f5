"""`watch`: what it records is what the training did, and the training is what it would be without."""

from __future__ import annotations

import copy
import io
import pickle
import random
import sys
import threading
import types
import warnings
from contextlib import suppress

import numpy as np
import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")

from torch.optim import optimizer as torch_optimizer  # noqa: E402

from dysonsim.training import recorder  # noqa: E402
from dysonsim.training.matrices import Matrix  # noqa: E402


def net(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(6, 3)
    return torch.nn.Sequential(*layers).to(dtype)


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **({"lr": 0.1, "momentum": 0.9} | options))


def train(model, optimizer, steps=6, batch=5, accumulate=1, scaler=None, bad=(), schedule=None):
    dtype = next(model.parameters()).dtype
    for k in range(steps):
        optimizer.zero_grad()
        for _ in range(accumulate):
            loss = model(torch.randn(batch, 8, dtype=dtype)).square().mean() / accumulate
            loss = loss * float("inf") if k in bad else loss
            (scaler.scale(loss) if scaler else loss).backward()
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        if schedule:
            schedule.step()


def spectrum(weight):
    return np.linalg.svd(weight.detach().double().reshape(len(weight), -1).numpy(), compute_uv=False)[::-1]


def hooks(model):
    """How many are there: of all optimizers, of modules, of parameters."""
    modules = sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())
    parameters = sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())
    return len(torch_optimizer._global_optimizer_post_hooks), modules, parameters


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


def test_a_closure_is_called_more_than_once_in_a_step():
    model = net()
    optimizer, x = torch.optim.LBFGS(model.parameters(), max_iter=3), torch.randn(5, 8)

    def closure():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    with ds.watch(model, every=1) as rec:
        optimizer.step(closure), optimizer.step(closure)
    assert rec.steps.tolist() == [0, 1, 2]
    assert rec["0"].batch_size.tolist() == [5] * 3  # the same samples again, after their gradient was thrown away


def test_layers_tell_the_batch_where_the_model_is_not_called():
    class Parts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.place = net(), torch.nn.Embedding(4, 8)

    model = Parts()
    optimizer = sgd(model)
    with ds.watch(model, every=1) as rec:
        for batch in (5, 6):
            optimizer.zero_grad()
            model.body(torch.randn(batch, 8) + model.place(torch.arange(4)).mean(0)).square().mean().backward()
            optimizer.step()
    assert rec["body.0"].batch_size.tolist() == [5, 5, 6]


def test_models_that_take_names_and_dictionaries():
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net()

        def forward(self, scale, batch=None):
            return self.body(batch["x"] * scale)

    model = Named()
    optimizer = sgd(model)
    with ds.watch(model, every=1) as rec:
        model(2.0, batch={"x": torch.randn(9, 8)}).sum().backward()
        optimizer.step()
    assert rec["body.0"].batch_size.tolist() == [9, 9]


class Boom(Exception):
    pass


@pytest.mark.parametrize("where", ["block", "interrupt", "start", "record", "two optimizers", "warning"])
def test_hooks_are_gone_after_any_exception(where, tmp_path):
    model, path = net(), tmp_path / "run.dsrec"
    before, optimizer = hooks(model), sgd(model)

    def on_record(rec):
        if len(rec.steps) == {"start": 1, "record": 3}.get(where):
            raise Boom

    with (  # noqa: PT012
        pytest.raises((Boom, KeyboardInterrupt, ValueError, RuntimeWarning)),
        ds.watch(model, every=1, path=path, on_record=on_record),
    ):
        train(model, optimizer, 3)
        if where == "two optimizers":
            sgd(model).step(), optimizer.step()
        if where == "warning":
            warnings.simplefilter("error")
            with torch.no_grad():
                model[0].weight[0, 0] = float("nan")
            train(model, optimizer, 1)
        raise KeyboardInterrupt if where == "interrupt" else Boom
    assert hooks(model) == before == (0, 0, 0)
    assert len(ds.load_recording(path).steps) >= 1
    path.rename(tmp_path / "moved")  # closed
    train(model, optimizer, 1)


def test_two_optimizers_are_refused_at_once_and_one_can_be_chosen():
    model = net()
    one, two = torch.optim.SGD(model[0].parameters(), 0.1), torch.optim.Adam(model[3].parameters(), 0.01)

    def step(rec=None):
        model(torch.randn(5, 8)).sum().backward()
        one.step(), two.step()

    with pytest.raises(ValueError, match=r"two of them \(SGD and Adam\).*give optimizer="), ds.watch(model):
        step()
    with ds.watch(model, every=1, optimizer=two) as rec:
        step(), step()
    assert rec.steps.tolist() == [0, 1, 2]
    assert rec.optimizer["name"] == "Adam"
    assert rec["3"].learning_rate.tolist() == [0.01] * 3
    assert np.isnan(rec["0"].learning_rate).all()
    assert rec["0"].optimizer == {}
    with ds.watch(model, every=1, layers="0") as rec:  # the other one holds nothing that is recorded
        step(), step()
    assert rec.steps.tolist() == [0, 1, 2]


def test_optimizers_in_turn_are_refused_and_one_after_the_other_is_not():
    model = net()
    first, second = sgd(model), sgd(model, lr=0.05)
    with ds.watch(model, every=2) as rec:
        train(model, first, 4), train(model, second, 4)
    assert rec.steps.tolist() == [0, 2, 4, 6, 8]
    assert rec["0"].learning_rate.tolist() == [0.1, 0.1, 0.1, 0.05, 0.05]
    with pytest.raises(ValueError, match="give optimizer="), ds.watch(model):
        train(model, first, 4), train(model, second, 1), train(model, first, 1)


def test_options_of_groups_and_their_changes_are_recorded():
    model = net()
    groups = [{"params": model[0].parameters(), "weight_decay": 0.1}, {"params": model[3].parameters()}]
    optimizer = torch.optim.Adam(groups, lr=torch.tensor(0.01), betas=(0.8, 0.9))
    with ds.watch(model, every=2) as rec:
        train(model, optimizer, 2)
        assert rec["0"].optimizer["weight_decay"] == 0.1
        assert rec["3"].optimizer["weight_decay"] == 0
        assert rec["0"].optimizer["betas"] == (0.8, 0.9)
        assert rec["0"].learning_rate[-1] == pytest.approx(0.01)
        optimizer.param_groups[0]["betas"] = (0.7, 0.9)
        train(model, optimizer, 2)
    assert rec.optimizer["betas"] == (0.7, 0.9)


def test_a_loop_without_an_optimizer():
    model = net()
    with ds.watch(model, every=2) as rec:
        for _ in range(4):
            loss = model(torch.randn(5, 8)).square().mean()
            for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
                p.data -= 0.1 * g
            rec.step(learning_rate=0.1)
    assert rec.steps.tolist() == [0, 2, 4]
    assert rec["0"].learning_rate.tolist() == [0.1] * 3
    assert rec["0"].batch_size.tolist() == [5] * 3
    assert rec.optimizer == {}
    with pytest.raises(RuntimeError, match="nothing is recorded any more"):
        rec.step()
    with ds.watch(model) as rec:
        train(model, sgd(model), 1)
        with pytest.raises(RuntimeError, match="counted already"):
            rec.step()
        with pytest.raises(ValueError, match="batch_size = 0"):
            rec.step(batch_size=0)


def test_a_loop_that_is_not_seen_is_said():
    model = net()
    with pytest.warns(RuntimeWarning, match=r"no step was seen.*rec\.step\(\)"), ds.watch(model):
        pass
    with pytest.warns(RuntimeWarning, match="batch size cannot be told") as caught, ds.watch(model, every=1) as rec:
        rec.step(), rec.step()
    assert len(caught) == 1
    with warnings.catch_warnings(), suppress(Boom):  # after an exception it is not the point
        warnings.simplefilter("error")
        with ds.watch(model):
            raise Boom


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


def test_a_model_is_copied_and_saved_while_it_is_watched():
    model = net()
    with ds.watch(model, every=1) as rec:
        twin, stored = copy.deepcopy(model), io.BytesIO()
        torch.save(model, stored)
        again = pickle.loads(pickle.dumps(model))
        for other in (twin, again):
            other(torch.randn(50, 8)).sum().backward()
        train(model, sgd(model), 2)
    assert rec["0"].batch_size.tolist() == [5, 5, 5]


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


def test_a_watch_is_entered_once():
    watched = ds.watch(net(), batch_size=1)
    with watched as rec:
        rec.step()
    with pytest.raises(RuntimeError, match="entered before"), watched:
        pass


class Other(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.good = torch.nn.Linear(3, 3)
        self.bad = torch.nn.Parameter(weight, requires_grad=False)


LAZY = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LazyLinear(4))
BAD = [
    (TypeError, "model", ["module", "str", "torch.nn.Module"]),
    (TypeError, Other(torch.ones(3, 3, dtype=torch.int8)), ["'bad'", "int8", "dequantize", "layers="]),
    (TypeError, Other(torch.ones(3, 3, dtype=torch.complex64)), ["'bad'", "complex64", "real"]),
    (TypeError, Other(torch.ones(3, 3, device="meta")), ["'bad'", "meta", "load"]),
    (TypeError, Other(torch.eye(3).to_sparse()), ["'bad'", "sparse", "float32"]),
    (TypeError, Other(torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8)), ["'bad'", "qint8"]),
    (TypeError, LAZY, ["'1'", "lazy", "one batch"]),
    (ValueError, torch.nn.Linear(3, 1), ["no weight matrix", "'weight' (1, 3)"]),
    (ValueError, torch.nn.Tanh(), ["no weight matrix", "none"]),
]


@pytest.mark.parametrize(("error", "model", "words"), BAD, ids=lambda x: type(x).__name__)
def test_models_that_cannot_be_recorded(error, model, words):
    with pytest.raises(error) as caught:
        ds.watch("module" if model == "model" else model)
    assert type(caught.value) is error
    assert not [word for word in words if word not in str(caught.value)], caught.value
    if error is TypeError and isinstance(model, torch.nn.Module):
        ds.watch(model, layers=["good" if isinstance(model, Other) else "0"])  # without it


ARGUMENTS = [
    (ValueError, {"every": 0}, ["every = 0", ">= 1"]),
    (TypeError, {"every": 1.5}, ["every = 1.5", "integer"]),
    (ValueError, {"top": 0}, ["top = 0"]),
    (TypeError, {"kicks": 1}, ["kicks = 1", "True or False"]),
    (ValueError, {"sampling": "epochs"}, ["sampling = 'epochs'", "without_replacement"]),
    (ValueError, {"batch_size": 0}, ["batch_size = 0"]),
    (TypeError, {"optimizer": "SGD"}, ["optimizer = 'SGD'", "torch.optim.Optimizer"]),
    (ValueError, {"optimizer": sgd(net())}, ["optimizer = SGD", "must hold the weights"]),
    (TypeError, {"on_record": 3}, ["on_record = 3", "function"]),
    (ValueError, {"layers": "fc*"}, ["layers = 'fc*'", "'0', '3'"]),
    (ValueError, {"layers": ["0", "4"]}, ["'4'", "'0', '3'"]),
    (ValueError, {"layers": []}, ["layers = []", "'0', '3'"]),
    (TypeError, {"layers": 3}, ["layers = 3", "pattern"]),
    (TypeError, {"path": 3}, ["path = 3", "path"]),
    (ValueError, {"resume": True}, ["resume = True", "path"]),
    (TypeError, {"resume": "yes"}, ["resume = 'yes'", "integer"]),
    (ValueError, {"resume": -1}, ["resume = -1"]),
]


@pytest.mark.parametrize(("error", "changes", "words"), ARGUMENTS, ids=lambda x: str(x)[:30])
def test_arguments(error, changes, words):
    with pytest.raises(error) as caught:
        ds.watch(net(), **changes)
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_which_parameters_are_matrices():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight
            self.conv, self.one = torch.nn.Conv2d(3, 5, 2), torch.nn.Linear(6, 1)
            self.norm, self.free = torch.nn.LayerNorm(4), torch.nn.Parameter(torch.ones(2, 3))
            self.attend = torch.nn.MultiheadAttention(4, 2)
            self.by_norm = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3))
            self.by_spectrum = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(4, 3))

    model = Model()
    shapes = {"free": (2, 3), "embed": (7, 4), "conv": (5, 12), "attend.out_proj": (4, 4),
              "by_norm": (3, 4), "by_spectrum": (3, 4)}  # fmt: skip
    shapes |= {f"attend.in_proj_weight.{part}": (4, 4) for part in "qkv"}
    state = copy.deepcopy(model.state_dict())
    for wrapped in (model, torch.nn.DataParallel(model), torch.compile(model)):
        with ds.watch(wrapped, batch_size=1) as rec:
            rec.step()
        assert {name: layer.shape for name, layer in rec.items()} == shapes
        assert ds.read_weights(wrapped).shapes == shapes == {name: w.shape for name, w in rec.initial.items()}
    assert set(ds.watch(model, layers=["att*", "free"]).about["layers"]) == {"free", *(n for n in shapes if "att" in n)}
    model.eval()
    for name, weight in ds.read_weights(model, skip="by_spectrum").items():
        np.testing.assert_allclose(rec[name].singular_values[0], spectrum(torch.tensor(weight)), atol=1e-6)
    np.testing.assert_allclose(rec["by_norm"].singular_values[0], spectrum(model.by_norm.weight), atol=1e-6)
    np.testing.assert_allclose(rec["by_spectrum"].singular_values[0], spectrum(model.by_spectrum.weight), atol=1e-6)
    np.testing.assert_allclose(rec["conv"].singular_values[0], spectrum(model.conv.weight), atol=1e-6)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())  # buffers, too
    assert model.by_spectrum.parametrizations.weight[0].training is False


def test_compiled_models():
    model = net()
    model[2].p = 0.0
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with ds.watch(compiled, every=1) as rec:
        train(compiled, sgd(model), 3)
    assert rec.layers == ("0", "3")
    assert rec["0"].batch_size.tolist() == [5] * 4
    with pytest.warns(RuntimeWarning, match="give batch_size="), ds.watch(model, every=1) as rec:
        train(compiled, sgd(model), 3)  # from inside the calls are not seen, but steps are
    assert rec.steps.tolist() == [0, 1, 2, 3]


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"dysonsim\[torch\]"):
        ds.watch(None)
