"""Which models and arguments `watch` takes, and which parameters are its matrices."""

from __future__ import annotations

import copy
import io
import pickle
import sys

import numpy as np
import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")

from watched import net, sgd, spectrum, train  # noqa: E402


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
