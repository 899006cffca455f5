"""`stationary` against the exact second moments of linear networks, and against simulations of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from own_models import MODELS as OWN
from own_models import Autoencoder

import dysonsim as ds
from dysonsim.models.traced.sampled import SampledNoise, Steps

INNER, OUTER = np.array([[1.2, 0.4], [-0.3, 1.0]]), np.array([[1.0, 0.5], [-0.4, 1.3]])
FUNCTIONS: dict[str, Any] = {
    "tanh": (np.tanh, lambda z, h: 1 - h**2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z, h: np.where(z > 0, 1.0, 0.0)),
    "linear": (lambda z: z, lambda z, h: 1.0),
}


@dataclass(frozen=True)
class TwoLayers(ds.Model):
    """Both trained, a teacher of the same shape, label noise; `layer_noise` on every gradient."""

    activation: str
    label_noise: float = 0.05
    layer_noise: float = 0.0

    def weight_shapes(self):
        return {"U": (2, 2), "V": (2, 2)}

    def initial_state(self, normals, process):
        return np.tile(np.concatenate([INNER.ravel(), OUTER.ravel()]), (len(normals(1)), 1))

    def update(self, U, V, noise, learning_rate, batch_size):
        act, slope = FUNCTIONS[self.activation]
        x = noise.samples(2)
        z = x @ U.T
        h = act(z)
        error = h @ V.T - act(x @ INNER.T) @ OUTER.T - self.label_noise * noise.label(2)
        kicks = [self.layer_noise / batch_size**0.5 * noise.normal((2, 2)) for _ in range(2)]
        to_inner = ((error @ V) * slope(z, h)).T @ x / batch_size
        return U - learning_rate * (to_inner + kicks[0]), V - learning_rate * (error.T @ h / batch_size + kicks[1])


@pytest.mark.parametrize("name", OWN)
def test_derivatives_are_those_of_differences(name):
    steps = Steps(OWN[name], 0.05, 5, 1)
    layout, generator = steps.layout, np.random.default_rng(0)
    state = np.concatenate([0.5 * generator.normal(size=layout.weights), layout.start + 0.3])
    found = np.concatenate(list(steps.slopes(state, 16)))

    def values(at):
        return np.concatenate(list(steps.values(at, 16)))

    moved = 1e-6 * np.eye(layout.size)
    differences = np.stack([(values(state + d) - values(state - d)) / 2e-6 for d in moved], axis=2)
    np.testing.assert_allclose(found, differences, rtol=0, atol=3e-9)


def test_random_inputs_have_the_laws_of_the_kernel():
    """Means and variances of a million numbers or so, in pairs: 1% is 5 sigma or more."""
    count, batch = 2**16, 5
    noise = SampledNoise(batch, count, np.random.default_rng(1), lambda stack: stack)
    drawn = [*noise.second_moment(3, labels=2), noise.symmetric(3), noise.samples(3), noise.label(2)]
    c, labels, symmetric, x, y = (stack.numbers for stack in drawn)
    one = np.eye(3)
    np.testing.assert_allclose(c.mean(axis=0), one, atol=0.02)
    np.testing.assert_allclose(c.var(axis=0), (1 + one) / batch, rtol=0.05)
    np.testing.assert_allclose(labels.var(axis=0), np.full((2, 3), 1 / batch), rtol=0.05)
    # the labels know of the inputs: E[N_ai N_ai C_ii] = (1/B)(1 + 2/B)
    np.testing.assert_allclose((labels[:, 0, 0] ** 2 * c[:, 0, 0]).mean(), (1 + 2 / batch) / batch, rtol=0.05)
    np.testing.assert_allclose(symmetric.var(axis=0), 1 + one, rtol=0.03)
    assert np.array_equal(symmetric, symmetric.swapaxes(1, 2))
    assert x.shape == (count, batch, 3)
    assert y.shape == (count, batch, 2)
    half = count // 2
    for odd in (labels, symmetric, y):
        assert np.array_equal(odd[half:], -odd[:half])
    for even in (c, x):
        assert np.array_equal(even[half:], even[:half])


LAYER = ds.LinearNetwork([[1.0, 0.4, 0.0], [0.0, 2.0, 0.3]], np.diag([1.0, 0.7]), gradient_noise=0.2, label_noise=0.3)


@pytest.mark.parametrize(
    "process",
    [
        ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1, label_noise=0.2), 0.3, 4),
        ds.SGD(LAYER, 0.1, 5, momentum=0.8, nesterov=True, weight_decay=0.2),
        ds.Adam(LAYER, 0.01, 5, weight_decay=0.1),
    ],
)
def test_linear_layers_are_exact(process):
    """Errors of the random inputs: .3% in the mean variance, .5% of a single one."""
    result = ds.stationary(process)
    size = result.covariance.shape[0]
    exact = process.weight_covariance().reshape(size, size)
    assert np.trace(result.covariance) / np.trace(exact) == pytest.approx(1, abs=5 * result.error)
    assert result.error < 0.005
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.abs((result.covariance - exact) / scale).max() < 0.025
    # control: the leading order
    assert np.abs((result.leading - exact) / scale).max() > 0.05
    np.testing.assert_allclose(result.singular_values**2, process.fixed_point(), rtol=0.01, atol=1e-12)
    np.testing.assert_allclose(result.widths, process.singular_value_widths(), rtol=0.02, atol=1e-9)
    assert result.flat_directions == 0


def test_spacings_and_draws():
    sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), label_noise=0.5), 0.05, 16)
    result = ds.stationary(sgd)
    assert result.degenerate_groups == [(0, 1)]
    np.testing.assert_allclose(result.spacings, sgd.singular_value_spacings(), rtol=0.02)
    draws = result.rvs(20_000, 1)
    np.testing.assert_allclose(
        draws.mean(axis=0), result.fixed_point + result.mean_shift, atol=5e-3 * result.widths[0] * 8
    )
    np.testing.assert_allclose(np.cov(draws.T), result.covariance, atol=0.05 * result.covariance.max())
    assert np.array_equal(draws, result.rvs(20_000, 1))
    assert "singular value 2 with width" in str(result)


def measured(process, directions, fixed, steps):
    """Mean of the weights, and variance along each direction, over records far apart."""
    run, found = None, []
    for step in steps:
        run = ds.simulate(process, 2000, step, seed=5, resume=run)
        found.append(run.state[:, : len(fixed)] - fixed)
    moved = np.concatenate(found)
    return moved.mean(axis=0), ((moved - moved.mean(axis=0)) @ directions).var(axis=0)


def test_two_layers_of_tanh_with_momentum():
    """alpha times the largest curvature is .06; 24 000 draws: .4% of the mean variance, .9% of a single one."""
    alpha, m, batch = 0.01, 0.8, 4
    sgd = ds.SGD(TwoLayers("tanh"), alpha, batch, momentum=m)
    result = ds.stationary(sgd)
    assert result.flat_directions == 0
    np.testing.assert_allclose(result.fixed_point, np.concatenate([INNER.ravel(), OUTER.ravel()]), atol=1e-9)
    # whatever the architecture: with label noise alone every weight has the same variance at leading order
    of_label = alpha / (1 - m) * 0.05**2 / (2 * batch)
    np.testing.assert_allclose(result.leading, of_label * np.eye(8), rtol=0, atol=0.03 * of_label)
    mean, variance = measured(sgd, np.eye(8), result.fixed_point, 4000 + 400 * np.arange(12))
    ratios = variance / np.diag(result.covariance)
    assert ratios.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(ratios, 1, atol=0.04)
    # controls: the leading order, and alpha in place of alpha/(1 - m)
    wrong = np.diag(ds.stationary(ds.SGD(TwoLayers("tanh"), alpha, batch)).covariance)
    assert (variance / wrong).mean() > 4
    # the mean: .01 of a width for 24 000 draws that are not quite independent
    widths = np.sqrt(np.diag(result.covariance))
    assert np.abs(result.mean_shift / widths).max() > 0.05
    np.testing.assert_allclose(mean / widths, result.mean_shift / widths, atol=0.03)


@pytest.mark.parametrize(("activation", "flat"), [("relu", 2), ("linear", 4)])
def test_flat_directions_are_counted(activation, flat):
    """Scales of relu units, a linear map between the layers: 2 and n^2."""
    result = ds.stationary(ds.SGD(TwoLayers(activation), 0.02, 4))
    assert result.flat_directions == flat
    assert abs(result.flat_noise) < 1e-12
    values = np.linalg.eigvalsh(result.covariance)
    assert (np.abs(values[:flat]) < 1e-12 * values[-1]).all()
    assert (values[flat:] > 0.1 * values[-1]).all()
    noisy = ds.stationary(ds.SGD(TwoLayers(activation, layer_noise=0.1), 0.02, 4))
    assert noisy.flat_directions == flat
    assert noisy.flat_noise == pytest.approx(flat * 0.1**2 / 4, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("given", [{}, {"momentum": 0.5, "nesterov": True}])
def test_measured_variances(activation, given):
    alpha = (0.04 if activation == "tanh" else 0.03) * (1 - given.get("momentum", 0.0))
    sgd = ds.SGD(TwoLayers(activation), alpha, 4, **given)
    result = ds.stationary(sgd)
    values, directions = np.linalg.eigh(result.covariance)
    kept = values > 1e-9 * values[-1]
    _, variance = measured(sgd, directions[:, kept], result.fixed_point, 3000 + 600 * np.arange(20))
    assert variance.sum() / values[kept].sum() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(variance / values[kept], 1, atol=0.04)


def test_momentum_by_hand_is_momentum():
    """What a step remembers fluctuates with the weights."""
    by_hand = ds.stationary(ds.SGD(OWN["momentum"], 0.05, 4))
    assert by_hand.memory.shape == (6,)
    model = ds.TeacherStudent(OWN["momentum"].teacher, label_noise=0.1)
    sgd = ds.SGD(model, 0.05, 4, momentum=0.9, weight_decay=0.01)
    exact = sgd.weight_covariance().reshape(6, 6)
    np.testing.assert_allclose(np.diag(by_hand.covariance), np.diag(exact), rtol=0.03)
    np.testing.assert_allclose(by_hand.fixed_point, sgd.model.teacher.ravel() / 1.01, atol=1e-3)


def test_starts_choose_the_fixed_point():
    """A double well of every entry, from either side, and in the middle, which is a saddle."""

    @dataclass(frozen=True)
    class Wells(ds.Model):
        weight_shape = (1, 1)

        def update(self, W, noise, learning_rate, batch_size):
            return W - learning_rate * (W**3 - W + 0.1 / batch_size**0.5 * noise.normal((1, 1)))

    sgd = ds.SGD(Wells(), 0.05, 4)
    for start in (0.3, -0.3):
        result = ds.stationary(sgd, np.array([[start]]))
        assert result.fixed_point == pytest.approx(np.sign(start), abs=1e-3)
        # Var = alpha sigma^2/(2 h |B|) / (1 - alpha h/2), h = 2; the mean moves by -V'''/(2 V'') Var = -1.5 Var
        variance = 0.05 * 0.01 / (4 * 4) / 0.95
        assert result.covariance[0, 0] == pytest.approx(variance, rel=0.02)
        assert result.mean_shift[0] == pytest.approx(-1.5 * np.sign(start) * variance, rel=0.05)
    with pytest.raises(ValueError, match=r"not stable, a step multiplies deviations by up to 1\.05"):
        ds.stationary(sgd, {"W": [[0.0]]})


@dataclass(frozen=True)
class LinearAutoencoder(ds.Model):
    """Any invertible matrix between encoder and decoder leaves it as it is: 4 flat directions of 16."""

    noise: float = 0.2

    def weight_shapes(self):
        return {"encoder": (2, 4), "decoder": (4, 2)}

    def update(self, encoder, decoder, noise, learning_rate, batch_size):
        x = noise.samples(4) * np.array([2.0, 1.5, 1.0, 0.5])
        h = x @ encoder.T
        error = h @ decoder.T - x - self.noise * noise.label(4)
        rate = learning_rate / batch_size
        return encoder - rate * (error @ decoder).T @ x, decoder - rate * error.T @ h


def test_flat_directions_that_batches_blur():
    sgd = ds.SGD(LinearAutoencoder(), 0.01, 8)
    found = ds.stationary(sgd, (np.eye(2, 4), np.eye(4, 2)))  # as the update takes them
    assert found.flat_directions == 4
    encoder = found.fixed_point[:8].reshape(2, 4)
    decoder = found.fixed_point[8:].reshape(4, 2)
    assert np.abs(decoder @ encoder - np.diag([1.0, 1.0, 0.0, 0.0])).max() < 0.05


def test_newtons_method_does_not_run_away():
    """Its saturated units would rest anywhere far off."""
    with pytest.raises(ValueError, match="no fixed point"):
        ds.stationary(ds.SGD(Autoencoder(4, 2), 0.1, 8))


class Diffusion(ds.Model):
    weight_shape = (2, 2)

    def update(self, W, noise, learning_rate, batch_size):
        return W + learning_rate * noise.normal((2, 2))


def test_what_is_refused():
    sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), label_noise=0.5), 0.05, 16)
    with pytest.raises(TypeError, match=r"must be a dysonsim\.SGD or Adam"):
        ds.stationary(ds.TeacherStudent(2 * np.eye(2)))
    with pytest.raises(NotImplementedError, match="GaussianRBM has no update"):
        ds.stationary(ds.SGD(ds.GaussianRBM(np.diag([2.0, 4.0]), mu=3.0), 0.01, 4))
    with pytest.raises(NotImplementedError, match="dataset_size = 32"):
        ds.stationary(ds.SGD(ds.TeacherStudent(2 * np.eye(2), dataset_size=32), 0.01, 4))
    with pytest.raises(ValueError, match="no stationary variance"):
        ds.stationary(ds.SGD(sgd.model, 0.9 * 2 / (1 + 2 / 2), 2), sgd.model.teacher)
    with pytest.raises(ValueError, match="not stable"):
        ds.stationary(ds.SGD(sgd.model, 2.1, 64), sgd.model.teacher)
    with pytest.raises(ValueError, match="start has 3 numbers: must have 4"):
        ds.stationary(sgd, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="start has V: must have W"):
        ds.stationary(sgd, {"V": np.eye(2)})
    with pytest.raises(ValueError, match=r"start\['W'\] has shape \(4,\)"):
        ds.stationary(sgd, {"W": np.zeros(4)})
    with pytest.raises(ValueError, match="at most 400"):
        ds.stationary(ds.SGD(ds.TeacherStudent(np.eye(21)), 0.01, 4))
    with pytest.raises(ValueError, match="no direction of the weights has a restoring force"):
        ds.stationary(ds.SGD(Diffusion(), 0.1, 4))
