"""Noise from mini-batch gradients: what the kicks of a step do, and weights, buffers and random numbers untouched."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dysonsim as ds

torch = pytest.importorskip("torch")


def network(seed=0):
    """A network with a layer of separated levels, and batches whose targets are noisy."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(draw(*p.shape))
    return model, [(draw(8, 5), 2 * draw(8, 2)) for _ in range(400)]


LOSS = torch.nn.MSELoss()


def test_kicks_of_one_step_have_that_noise():
    """Var(kick) = 2 (alpha g_ii)^2, from the levels before and after each step from the same weights."""
    model, batches = network()
    found = ds.gradient_noise(model, LOSS, batches, "0")
    alpha, weight = 1e-5, model[0].weight
    kicks = []
    for x, y in batches:
        (gradient,) = torch.autograd.grad(LOSS(model(x), y), weight)
        levels = [
            torch.linalg.svdvals(w).flip(0).numpy() for w in (weight.detach(), (weight - alpha * gradient).detach())
        ]
        kicks.append(levels[1] - levels[0])
    assert np.allclose(np.var(kicks, axis=0, ddof=1), 2 * (alpha * found.g_ii) ** 2, rtol=1e-3)
    assert np.allclose(found.singular_values, levels[0])
    assert (found.g_ii_error < 0.1 * found.g_ii).all()


def test_repulsion_is_of_second_order_in_what_mixes_two_levels():
    """The mean shift of a level by noise that has mean zero: sum_j g_ij^2/(s_i - s_j), and what s_i + s_j adds."""
    rng = np.random.default_rng(1)
    s = np.array([1.0, 1.3, 2.0])
    model = torch.nn.Linear(3, 3, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.diag(torch.tensor(s)))
    noise = rng.normal(size=(4000, 3, 3))
    noise -= noise.mean(axis=0)
    found = ds.gradient_noise(model, lambda model, batch: (model.weight * batch).sum(), torch.tensor(noise), "weight")
    even, odd = ((noise + sign * noise.transpose(0, 2, 1)) / 2 for sign in (1, -1))
    alpha, g = 1e-2, found.g_ij
    expected = [
        sum(g[i, j] ** 2 / (s[i] - s[j]) + odd[:, i, j].var() / (s[i] + s[j]) for j in range(3) if j != i)
        for i in range(3)
    ]
    moved = np.linalg.svd(np.diag(s) - alpha * noise, compute_uv=False)[:, ::-1] - s
    assert np.allclose(moved.mean(axis=0) / alpha**2, expected, rtol=0.02, atol=0.02)
    assert np.allclose(g[0, 1] ** 2, even[:, 0, 1].var(ddof=1))
    assert np.allclose(found.neighbors, 1, atol=0.1)  # noise that is the same in all directions
    g_ii, g_ij, beta_ij = found
    assert g_ii is found.g_ii
    assert np.allclose(np.diag(g_ij), g_ii)
    assert np.isnan(np.diag(beta_ij)).all()


def test_noise_that_prefers_the_diagonal_has_a_small_index():
    """The control: beta_ij is measured, not set to one."""
    rng, model = np.random.default_rng(2), torch.nn.Linear(3, 3, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    noise = torch.tensor(rng.normal(size=(500, 3, 3)) * np.where(np.eye(3), 1.0, 0.1))
    found = ds.gradient_noise(model, lambda model, batch: (model.weight * batch).sum(), noise, "weight")
    assert (found.neighbors < 0.05).all()


def test_g_square_falls_as_one_over_the_batch_size():
    model, batches = network()
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    larger = list(zip(x.split(32), y.split(32), strict=True))
    one, four = (ds.gradient_noise(model, LOSS, b, "0").g_ii for b in (batches, larger))
    assert abs(np.mean(one**2 / four**2) / 4 - 1) < 0.3


def test_a_convolution_is_a_matrix_of_its_kernels():
    model = torch.nn.Conv2d(2, 3, 2)
    batches = [(torch.randn(4, 2, 4, 4), torch.randn(4, 3, 3, 3)) for _ in range(10)]
    assert ds.gradient_noise(model, LOSS, batches, "weight").g_ij.shape == (3, 3)


def test_nothing_is_changed():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))
    batches = [(torch.randn(8, 4), torch.randn(8, 4)) for _ in range(10)]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.random.get_rng_state()
    with torch.no_grad():
        ds.gradient_noise(model, LOSS, batches, "0")
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_prints_stores_and_plots():
    import matplotlib as mpl

    mpl.use("Agg")
    model, batches = network()
    found = ds.gradient_noise(model, LOSS, batches, "0.weight")
    assert "gradient noise of '0.weight', 400 batches" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["batches"] == 400
    assert found.plot().get_title() == "0.weight"


MODEL, BATCHES = network()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "model"}, TypeError, "model = 'model': must be a torch.nn.Module"),
        ({"loss": 3}, TypeError, "loss = 3"),
        ({"layer": "fc"}, ValueError, "layer = 'fc': must be one of 0, 2"),
        ({"layer": 0}, TypeError, "layer = 0"),
        ({"batches": 3}, TypeError, "batches = 3: must be an iterable"),
        ({"batches": [1, 2]}, TypeError, "batches: number 0 is 1"),
        ({"batches": BATCHES[:5]}, ValueError, "batches: there are 5, must be 8"),
        ({"loss": lambda a, b: a}, TypeError, "must be a tensor with one number"),
        ({"loss": lambda a, b: b.sum()}, ValueError, "does not depend on the weights"),
        ({"loss": lambda model, batch: model[2].bias.sum()}, ValueError, "does not depend on this layer"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        ds.gradient_noise(**({"model": MODEL, "loss": LOSS, "batches": BATCHES, "layer": "0"} | change))


def test_a_divergence_names_layer_and_batch():
    batches = list(BATCHES[:20])
    batches[7] = (torch.full((8, 5), torch.nan, dtype=torch.float64), batches[7][1])
    with pytest.raises(ds.DivergenceError) as caught:
        ds.gradient_noise(MODEL, LOSS, batches, "0")
    assert (caught.value.layer, caught.value.step) == ("0", 7)
