"""Deep linear networks: the step sample by sample, starts, learning curves, one step of the levels, bad input."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from kernel_draws import kernel_normals
from scipy.integrate import solve_ivp
from scipy.linalg import block_diag

import dysonsim as ds
from dysonsim.kernels.common import rng
from dysonsim.models.deep.curves import shrunk

TEACHER = np.array([[1.5, 0.2, -0.3, 0.1], [0.2, 1.0, 0.5, 0.0], [0.0, -0.4, 2.0, 0.7]])
SQUARE = np.diag([1.0, 2.0, 3.0])


def products(layers):
    out = layers[0]
    for weights in layers[1:]:
        out = weights @ out
    return out


def sample_by_sample(layers, teacher, x, eta, push, kicks, rate):
    """One network, the chain rule for one sample after the other."""
    batch = len(x)
    gradients = [np.zeros_like(weights) for weights in layers]
    for b in range(batch):
        activity = [x[b]]
        for weights in layers:
            activity.append(weights @ activity[-1])
        back = activity[-1] - teacher @ x[b] - eta[b]
        for k in reversed(range(len(layers))):
            gradients[k] += np.outer(back, activity[k]) / batch
            back = layers[k].T @ back
    for k in range(len(layers)):
        before = products([np.eye(layers[0].shape[1]), *layers[:k]])
        after = products([np.eye(layers[k].shape[0]), *layers[k + 1 :]])
        gradients[k] += after.T @ push @ before.T + kicks[k]
    return [weights - rate * g for weights, g in zip(layers, gradients, strict=True)]


def test_steps_are_those_of_back_propagation():
    """A batch smaller than the inputs is drawn sample by sample, so that its draws are known."""
    model = ds.DeepLinearNetwork(TEACHER, (3, 5), 0.3, 0.2, 0.1, init="normal")
    batch, replicas, rate, seed = 3, 4, 0.05, 5
    sgd = ds.SGD(model, rate, batch, init_scale=0.6)
    run = ds.simulate(sgd, replicas, 2, seed, record_steps=[0, 2], keep_weights=True, device="numpy")
    networks = [[layer[r, 0] for layer in run.layers] for r in range(replicas)]
    for step in range(2):

        def drawn(shape, stream, call=0, step=step):
            draws = kernel_normals(int(np.prod(shape)), stream + call * rng.STRIDE, step, replicas, seed)
            return draws.reshape(replicas, *shape)

        x, eta = drawn((batch, 4), rng.DATA), 0.3 * drawn((batch, 3), rng.LABEL_NOISE)
        push = 0.1 / batch**0.5 * drawn((3, 4), rng.GRADIENT_NOISE)
        shapes = [weights.shape for weights in networks[0]]
        kicks = [0.2 / batch**0.5 * drawn(shapes[k], rng.GRADIENT_NOISE, 3 - k) for k in range(3)]
        networks = [
            sample_by_sample(networks[r], TEACHER, x[r], eta[r], push[r], [kick[r] for kick in kicks], rate)
            for r in range(replicas)
        ]
    for k, layer in enumerate(run.layers):
        np.testing.assert_allclose(layer[:, 1], [network[k] for network in networks], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(run.weights[:, 1], [products(network) for network in networks], rtol=1e-12, atol=1e-14)


def test_layers_that_are_not_trained_stay():
    model = ds.DeepLinearNetwork(SQUARE, (3, 4), 0.3, 0.2, trained=(False, True, False))
    run = ds.simulate(ds.SGD(model, 0.05, 4), 3, 4, 1, record_steps=[0, 4], keep_weights=True, device="numpy")
    moved = [bool(np.abs(layer[:, 1] - layer[:, 0]).max() > 0) for layer in run.layers]
    assert moved == [False, True, False]


@pytest.mark.parametrize(("widths", "rank"), [((), 3), ((4,), 3), ((3, 5), 3), ((2,), 2)])
def test_balanced_start(widths, rank):
    left, s, right = np.linalg.svd(TEACHER)
    teacher = (left[:, :rank] * s[:rank]) @ right[:rank]
    model = ds.DeepLinearNetwork(teacher, widths)
    run = ds.simulate(ds.SGD(model, 0.01, 4), 5, 1, 1, record_steps=[0], keep_weights=True, device="numpy")
    np.testing.assert_allclose(run.weights[:, 0], np.broadcast_to(teacher, (5, 3, 4)), atol=1e-13)
    if widths:
        for D in ds.balancedness(run):
            assert np.abs(D).max() < 1e-13
        first = run.layers[0][:, 0]
        assert np.abs(first[1:] - first[:1]).max(axis=(1, 2)).min() > 0.1  # other bases of hidden units
    for k in range(len(widths) + 1):
        want = model.layer_singular_values(k)
        np.testing.assert_allclose(run.singular_values_of(k)[:, 0], np.tile(want, (5, 1)), atol=1e-7)
        np.testing.assert_allclose(want[want > 0], s[:rank][::-1] ** (1 / (len(widths) + 1)), rtol=1e-12)


def test_starts_do_not_depend_on_the_other_replicas():
    sgd = ds.SGD(ds.DeepLinearNetwork(TEACHER, (3, 5)), 0.01, 4)
    np.testing.assert_array_equal(sgd.start(7, 3)[2:5], sgd.start(3, 3, first=2))


def test_small_start_has_the_singular_vectors_of_the_teacher():
    model = ds.DeepLinearNetwork(TEACHER, (4, 3), init="small")
    sgd = ds.SGD(model, 0.01, 4, init_scale=0.2)
    left, _, right = np.linalg.svd(TEACHER)
    P = sgd.model.spectral_matrix(sgd.start(4, 1))
    want = np.zeros((3, 4))
    np.fill_diagonal(want, 0.2**3)
    np.testing.assert_allclose(left.T @ P @ right.T, np.tile(want, (4, 1, 1)), atol=1e-15)


def exact(count):
    """The noise of an infinite batch."""
    return SimpleNamespace(second_moment=lambda n: np.eye(count))


@pytest.mark.parametrize(
    ("widths", "trained"), [((), None), ((3,), None), ((4, 3, 5), None), ((3, 4), (False, True, True))]
)
def test_learning_curves_are_the_steps_of_the_population(widths, trained):
    model = ds.DeepLinearNetwork(TEACHER, widths, init="small", trained=trained)
    sgd = ds.SGD(model, 0.02, 4, init_scale=0.4)
    names = [*model.weight_shapes, *model.memory]  # as the state has them
    state = [model.matrices(sgd.start(1, 1))[name][0] for name in names]
    found = []
    for step in range(1, 201):
        state = model.update(*state, noise=exact(4), learning_rate=0.02, batch_size=4)
        if step in (50, 200):
            layers = dict(zip(names, state, strict=True))
            product = products([layers[f"W{k + 1}"] for k in range(len(layers))])
            found.append(np.sort(np.linalg.svd(product, compute_uv=False)))
    curve = sgd.learning_curve([200, 50, 0])
    np.testing.assert_allclose(curve[1::-1, 1:], found, rtol=1e-10)
    assert (curve[:, 0] == 0).all()
    np.testing.assert_allclose(curve[2, 1:], 0.4 ** (len(widths) + 1))
    if trained is None:  # from the same place, as squares
        np.testing.assert_allclose(sgd.relaxation([50, 200], curve[2]), curve[1::-1] ** 2, rtol=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_half_times_are_those_of_gradient_flow(layers):
    model, u0, alpha = ds.DeepLinearNetwork(SQUARE, (3,) * (layers - 1)), 0.1, 0.01
    times = model.half_times(alpha, u0)
    s = np.array([1.0, 2.0, 3.0])
    for value, time in zip(s, times, strict=True):

        def flow(t, u, value=value):
            return alpha * u ** (layers - 1) * (value - u**layers)

        end = solve_ivp(flow, (0, time), [u0], rtol=1e-10, atol=1e-12).y[0, -1] ** layers
        assert end == pytest.approx(value / 2, rel=1e-6)
    if layers == 2:
        np.testing.assert_allclose(times, np.log((s - u0**2) / u0**2) / (2 * alpha * s), rtol=1e-9)
    if layers > 2:  # the plateau is most of it, and longer the deeper
        plateau = u0 ** (2 - layers) / (alpha * s * (layers - 2))
        assert (np.abs(times / plateau - 1) < (0.35 if layers == 3 else 0.1)).all()


def test_levels_that_are_not_learned():
    model = ds.DeepLinearNetwork(block_diag(np.diag([2.0, 1.0]), 0.0), (2,))
    assert model.half_times(0.1, 0.2)[0] == np.inf
    assert model.half_times(0.1, 1.2)[1] == 0  # u0^2 is beyond half of 1
    assert model.relaxation_rates(0.1)[0] == 0
    with pytest.raises(NotImplementedError, match="near 0"):
        model.mean_shift(0.01, 4)


def test_fixed_point_with_weight_decay():
    s = np.array([3.0, 1.0, 0.1])
    for many in (2, 3, 4):
        u = shrunk(s, np.ones(3), many, 0.2)
        pull = u ** (many - 2) * (s - u**many)
        np.testing.assert_allclose(pull[:2], 0.2, rtol=1e-9)
        assert u[2] == 0  # decay wins
        slope = [(x + 1e-6) ** (many - 1) * (value - (x + 1e-6) ** many) - 0.2 * (x + 1e-6) for x, value in
                 zip(u[:2], s[:2], strict=True)]  # fmt: skip
        assert (np.array(slope) < 0).all()  # stable
    np.testing.assert_allclose(shrunk(s, np.ones(3), 1, 0.2), s / 1.2)
    start = ds.DeepLinearNetwork(SQUARE, (3,)).initial_state(
        lambda count: np.random.default_rng(1).standard_normal((2, count)), SimpleNamespace(weight_decay=0.2)
    )
    P = start[:, 9:].reshape(2, 3, 3) @ start[:, :9].reshape(2, 3, 3)
    np.testing.assert_allclose(P, np.tile(np.diag([0.8, 1.8, 2.8]), (2, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("widths", [(3,), (3, 4)])
def test_balancedness_changes_by_the_square_of_gradients_alone(widths):
    """Exactly, for every noise that layers share; the noise of each layer, the control, moves it to first order."""
    for kind, moves in (("label_noise", False), ("product_noise", False), ("gradient_noise", True)):
        model = ds.DeepLinearNetwork(SQUARE, widths, init="normal", **{kind: 0.5})
        sgd = ds.SGD(model, 0.05, 4, init_scale=0.5)
        run = ds.simulate(sgd, 6, 2, 1, record_steps=[1, 2], keep_weights=True, device="numpy")
        gradients = [(layer[:, 0] - layer[:, 1]) / 0.05 for layer in run.layers]
        for D, below, above in zip(ds.balancedness(run), gradients, gradients[1:], strict=False):
            want = 0.05**2 * (above.swapaxes(1, 2) @ above - below @ below.swapaxes(1, 2))
            error = np.abs(D[:, 1] - D[:, 0] - want).max() / np.abs(want).max()
            assert (error > 0.3) if moves else (error < 1e-11)


NOISES = {"label_noise": 0.4, "gradient_noise": 0.3, "product_noise": 0.5}


@pytest.mark.parametrize(
    ("widths", "rows", "alpha"),
    [
        ((3,), 3, 0.01),
        pytest.param((3, 4), 3, 0.004, marks=pytest.mark.slow),
        pytest.param((4,), 2, 0.01, marks=pytest.mark.slow),
    ],
)
def test_drift_and_noise_of_one_step(widths, rows, alpha):
    """From balanced layers a little off the teacher, by 2e5 steps; 4.5 standard errors, false alarms once in 1e4.

    alpha is small: third orders in it are left out. Control: the drift without its second order.
    """
    teacher = SQUARE[-rows:]
    model, batch, count = ds.DeepLinearNetwork(teacher, widths, **NOISES), 4, 200_000
    n = model.n
    x = model.fixed_point() * np.linspace(0.9, 1.15, n) ** 2
    moved = ds.DeepLinearNetwork(scaled(teacher, x), widths)
    random = np.random.default_rng(1)
    layers = moved.layers(moved.initial_state(lambda k: random.standard_normal((1, k)), SimpleNamespace()))
    data = random.standard_normal((count, batch, n))
    noise = SimpleNamespace(
        second_moment=lambda _, labels: (
            data.swapaxes(1, 2) @ data / batch,
            random.standard_normal((count, batch, labels)).swapaxes(1, 2) @ data / batch,
        ),
        normal=lambda shape: random.standard_normal((count, *shape)),
        symmetric=lambda shape: goe(random, count, shape[0]),
    )
    stacks = [Stack(np.broadcast_to(layer, (count, *layer.shape[1:]))) for layer in layers]
    new = [np.asarray(w) for w in model.update(*stacks, noise=noise, learning_rate=alpha, batch_size=batch)]
    _, s, right = np.linalg.svd(scaled(teacher, x))
    turned = products(new) @ right.T
    kicks = (turned.swapaxes(1, 2) @ turned)[:, ::-1, ::-1] - np.diag(x)  # of X in its eigenbasis, ascending
    drift, g2 = model.drift(x, alpha, batch), model.noise(x, alpha, batch) ** 2
    h = model._of_levels(np.diag(model._factors(xi=s).curvature))
    first = -2 * alpha * np.sqrt(x) * h * (np.sqrt(x) - np.sqrt(model.fixed_point()))
    learned, diagonal = x > 0, np.einsum("rii->ri", kicks)
    error = diagonal.std(axis=0) / count**0.5
    assert (np.abs(diagonal.mean(axis=0) - drift)[learned] < 4.5 * error[learned]).all()
    assert (np.abs(diagonal.mean(axis=0) - first)[learned] > 4.5 * error[learned]).any()
    found = kicks.var(axis=0)
    found[np.diag_indices(n)] /= 2
    pairs = np.outer(learned, learned)
    assert (np.abs(found[pairs] / g2[pairs] - 1) < 0.05).all()  # of order alpha, and errors of 0.4%


def scaled(teacher, x):
    """The matrix with singular values sqrt(x), and the teacher's singular vectors."""
    left, s, right = np.linalg.svd(teacher)
    xi = np.sqrt(x[::-1])[: len(s)]
    return (left[:, : len(s)] * xi) @ right[: len(s)]


def goe(random, count, n):
    z = random.standard_normal((count, n, n)) / 2**0.5
    return z + z.swapaxes(1, 2)


class Stack(np.ndarray):
    """Networks side by side, with the shape and transpose of one."""

    def __new__(cls, array):
        return np.asarray(array).view(cls)

    @property
    def T(self):
        return np.asarray(self).swapaxes(1, 2).view(Stack)

    @property
    def shape(self):
        return np.asarray(self).shape[1:]


def test_one_layer_is_the_linear_network():
    """Predictions of another module, to rounding."""
    for teacher, ours, theirs in (
        (SQUARE + 0.3, {"product_noise": 0.3, "label_noise": 0.2}, {"gradient_noise": 0.3, "label_noise": 0.2}),
        (TEACHER, {"gradient_noise": 0.3, "label_noise": 0.2}, {"gradient_noise": 0.3, "label_noise": 0.2}),
        (TEACHER.T, {"product_noise": 0.3}, {"gradient_noise": 0.3}),
        (2 * np.eye(3), {"product_noise": 0.3, "label_noise": 0.2}, {"gradient_noise": 0.3, "label_noise": 0.2}),
    ):
        deep, flat = ds.DeepLinearNetwork(teacher, (), **ours), ds.TeacherStudent(teacher, **theirs)
        for name in ("singular_value_widths", "singular_value_spacings", "stationary_widths", "weight_covariance"):
            a, b = getattr(deep, name)(0.1, 4), getattr(flat, name)(0.1, 4)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-17)
        x = deep.fixed_point() * 1.1
        learned = x > 0
        np.testing.assert_allclose(deep.noise(x, 0.1, 4), flat.noise(x, 0.1, 4), rtol=1e-12, atol=1e-17)
        np.testing.assert_allclose(deep.drift(x, 0.1, 4)[learned], flat.drift(x, 0.1, 4)[learned], rtol=1e-9)
        assert deep.max_learning_rate(4) == pytest.approx(flat.max_learning_rate(4), rel=1e-9)
        one, other = deep.dyson_terms(0.1, 4), flat.dyson_terms(0.1, 4)
        np.testing.assert_allclose(one.reals, other.reals, rtol=1e-9, atol=1e-15)


def test_curvature():
    s = np.array([3.0, 2.0, 1.0])
    for layers in (1, 2, 3, 4):
        h = ds.DeepLinearNetwork(SQUARE, (3,) * (layers - 1)).curvature()
        want = sum(
            np.outer(s ** (2 * (layers - k) / layers), s ** (2 * (k - 1) / layers)) for k in range(1, layers + 1)
        )
        np.testing.assert_allclose(h, want, rtol=1e-12)
    late = ds.DeepLinearNetwork(2 * np.eye(6, 2), (3,)).curvature("late")
    want = np.full((6, 2), 2 / 3**0.5)
    want[:2] += 2 * 3**0.5
    np.testing.assert_allclose(late, want, rtol=1e-12)


def test_degenerate_teacher_in_closed_form():
    """V = v h/(1 - alpha h c/2); leading order, label and gradient noise."""
    model = ds.DeepLinearNetwork(2 * np.eye(3), (3, 3), label_noise=0.5)
    h, v = 3 * 2 ** (4 / 3), 0.01 * 0.25 / 8
    np.testing.assert_allclose(model.product_variances(0.01, 4), v * h / (1 - 0.01 * h * (1 + 4 / 4) / 2), rtol=1e-12)
    np.testing.assert_allclose(model.product_variances(0.01, 4, leading=True), v * h, rtol=1e-12)
    assert model.max_learning_rate(4) == pytest.approx(2 / (h * (1 + 4 / 4)), rel=1e-9)
    np.testing.assert_allclose(model.layer_widths(1e-7, 4, 1), np.sqrt(1e-7 * 0.25 / 8 / 3), rtol=1e-5)  # v/L
    noisy = replace(model, label_noise=0.0, gradient_noise=0.5)
    np.testing.assert_allclose(noisy.product_variances(0.01, 4, leading=True), v, rtol=1e-12)


def test_means_of_two_layers():
    """E xi_i = s_i + v [-n + sum_k s_i/(s_i - s_k)], a degenerate partner counting 1/2."""
    alpha, s = 1e-8, np.array([1.0, 2.0, 2.0, 4.0])
    model = ds.DeepLinearNetwork(np.diag(s), (4,), label_noise=1.0)
    v = alpha / 8
    want = [-4 + sum(0.5 if a == b else a / (a - b) for k, b in enumerate(s) if k != i) for i, a in enumerate(s)]
    np.testing.assert_allclose(model.singular_value_shift(alpha, 4) / v, want, rtol=1e-5)


def test_bad_input():
    teacher = np.diag([1.0, 2.0])
    with pytest.raises(ValueError, match=r"widths = \(4, 1\): the teacher has rank 2"):
        ds.DeepLinearNetwork(teacher, (4, 1))
    ds.DeepLinearNetwork(np.ones((3, 3)), (1,))  # of rank 1
    with pytest.raises(TypeError, match="widths = 3"):
        ds.DeepLinearNetwork(teacher, 3)
    with pytest.raises(ValueError, match="init = 'large'"):
        ds.DeepLinearNetwork(teacher, (2,), init="large")
    for wrong in ((True,), (False, False), (True, True, True)):
        with pytest.raises(ValueError, match="2 truth values, one for each layer"):
            ds.DeepLinearNetwork(teacher, (2,), trained=wrong)
    with pytest.raises(ValueError, match="product_noise = -1"):
        ds.DeepLinearNetwork(teacher, (2,), product_noise=-1)
    model = ds.DeepLinearNetwork(teacher, (2,), label_noise=0.1)
    with pytest.raises(ValueError, match=r"must be < 0\.44\d+ for a stationary state.* above the limit 0\.44"):
        model.stationary_widths(0.5, 16)
    with pytest.warns(RuntimeWarning, match="training may not be stable.*above the limit"):
        ds.simulate(ds.SGD(model, 0.5, 16), 2, 1, 1, device="numpy")
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(ds.DivergenceError, match=r"above the limit 0\.44\d* of mean-square"),
    ):
        ds.simulate(ds.SGD(model, 2.0, 16), 2, 100, 1, device="numpy")
    with pytest.raises(ValueError, match="layer = 2"):
        model.layer_singular_values(2)
    with pytest.raises(ValueError, match="when = 'never'"):
        model.curvature("never")
    with pytest.raises(NotImplementedError, match="gradient_noise"):
        replace(model, gradient_noise=0.1).curvature("late")
    with pytest.raises(NotImplementedError, match="init = 'normal'"):
        replace(model, init="normal", trained=(True, False)).fixed_point()
    with pytest.raises(NotImplementedError, match="init = 'small'"):
        ds.Dyson(ds.SGD(replace(model, init="small"), 0.01, 16)).kernel()
    with pytest.raises(TypeError, match="run = 3"):
        ds.balancedness(3)
    flat = ds.simulate(ds.SGD(ds.TeacherStudent(teacher), 0.1, 4), 2, 1, 1, device="numpy")
    with pytest.raises(ValueError, match="has 1 layers"):
        ds.balancedness(flat)
