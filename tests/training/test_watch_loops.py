"""`watch` in loops of many kinds: closures, several optimizers, none; and hooks that are gone whatever happened."""

from __future__ import annotations

import warnings
from contextlib import suppress

import numpy as np
import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")

from watched import hooks, net, sgd, train  # noqa: E402


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


def test_a_watch_is_entered_once():
    watched = ds.watch(net(), batch_size=1)
    with watched as rec:
        rec.step()
    with pytest.raises(RuntimeError, match="entered before"), watched:
        pass
