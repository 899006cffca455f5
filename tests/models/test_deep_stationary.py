"""Stationary states of deep linear networks against simulation: the rows of the table of widths, and where they end.

A ratio is a mean square of F = P - W_t in the teacher's singular vectors over its prediction; replicas are independent,
so that its error is taken over them. Every test has a control that must fail.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import dysonsim as ds

QUIET = 1e-9  # of noises that are left out: the same kernel serves all tests of a shape
PAIR = 2 * np.eye(2)


def noises(**noise):
    return {"label_noise": QUIET, "gradient_noise": QUIET, "product_noise": QUIET} | noise


def recorded(model, alpha, batch, replicas, settle, records=15, seed=1):
    """A run with stationary records about two relaxation times apart."""
    slowest = 1 / (alpha * float(model.curvature().min()))
    first = int(settle * slowest)
    steps = [first + k * max(1, int(2 * slowest)) for k in range(records)]
    sgd = ds.SGD(model, alpha, batch)
    return ds.simulate(sgd, replicas, steps[-1], seed, record_steps=steps, keep_weights=True, progress=False)


def ratios(run, variances):
    """Mean squares over predictions, (p, n), and their errors."""
    left, _, right = np.linalg.svd(run.process.model.teacher)
    squares = ((left.T @ (run.weights - run.process.model.teacher) @ right.T) ** 2).mean(axis=1) / variances
    return squares.mean(axis=0), squares.std(axis=0) / len(squares) ** 0.5


def agrees(found, alarms=1e-3, allowed=0.0):
    """Whether all ratios are 1, up to `allowed` and so many false alarms."""
    ratio, error = found
    return bool((np.abs(ratio - 1) < allowed + norm.isf(alarms / 2 / ratio.size) * error).all())


def check(model, alpha, batch, replicas, allowed=0.0, wrong=None, settle=8, when="early"):
    """Predicted variances and spacings; `wrong` variances must fail. Returns the run."""
    run = recorded(model, alpha, batch, replicas, settle)
    assert agrees(ratios(run, model.product_variances(alpha, batch, when)), allowed=allowed)
    for variances in wrong or ():
        assert not agrees(ratios(run, variances), allowed=allowed)
    spacings = model.singular_value_spacings(alpha, batch, when)
    for group, spacing in zip(model.degenerate_groups(), spacings, strict=True):
        gaps = np.diff(run.singular_values[:, :, list(group)], axis=-1).mean(axis=(1, 2))
        assert abs(gaps.mean() / spacing - 1) < allowed + 4.5 * gaps.std() / len(gaps) ** 0.5 / spacing
    return run


@pytest.mark.parametrize(
    "layers", [2, 3, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("rate", [0.2, pytest.param(0.02, marks=pytest.mark.slow)])
def test_label_noise_of_a_pair(layers, rate):
    """Controls: leading order without 1/(1 - alpha h c/2), and h of another number of layers."""
    model = ds.DeepLinearNetwork(PAIR, (2,) * (layers - 1), **noises(label_noise=0.5))
    h = layers * 2 ** (2 - 2 / layers)
    alpha, replicas = rate / h, 4000 if rate > 0.1 else 20_000
    other = ds.DeepLinearNetwork(PAIR, (2,) * layers, label_noise=0.5).product_variances(alpha, 16)
    wrong = [model.product_variances(alpha, 16, leading=True), other]
    run = check(model, alpha, 16, replicas, wrong=wrong)
    if layers > 1:  # every layer has the share 1/L
        for layer in range(layers):
            width = run.singular_values_of(layer).mean(axis=-1).std()  # of the mean of two levels: GOE, 1/sqrt(2)
            assert width * 2**0.5 == pytest.approx(model.layer_widths(alpha, 16, layer)[-1], rel=0.03)


@pytest.mark.parametrize("layers", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["gradient_noise", "product_noise"])
def test_other_noises_of_a_pair(layers, kind):
    """alpha h = 0.05; gradient noise: alpha eps^2/2|B| whatever L and s; product: twice h times that for spacings."""
    model = ds.DeepLinearNetwork(PAIR, (2,) * (layers - 1), **noises(**{kind: 0.5}))
    h = layers * 2 ** (2 - 2 / layers)
    alpha = 0.05 / h
    lead = alpha * 0.25 / 32 * (1 if kind == "gradient_noise" else 2 * h)
    predicted = ds.SGD(model, alpha, 16).singular_value_spacings()[0]
    assert predicted == pytest.approx(np.sqrt(np.pi * lead), rel=0.02)
    label = ds.DeepLinearNetwork(PAIR, (2,) * (layers - 1), label_noise=0.5).product_variances(alpha, 16)
    # gradient noise: corrections of alpha h grow with the layers' diffusion; DEEP: 1.005 and .997 (22)
    check(model, alpha, 16, 3000, allowed=0.01, wrong=[label])


@pytest.mark.parametrize(
    ("widths", "singular", "batch", "part"),
    [((2,), [1.0, 2.0], 16, 0.6), ((2, 2), [1.0, 2.0], 4, 0.6)]
    + [
        pytest.param(widths, singular, batch, part, marks=pytest.mark.slow)
        for widths, singular, batch in (((2,), [1.0, 2.0], 16), ((2, 2), [1.0, 2.0], 4), ((3,), [1.0, 2.0, 3.0], 8))
        for part in (0.2, 0.8)
    ],
)
def test_row_recursion_up_to_the_limit(widths, singular, batch, part):
    """Weak noise, so that P moves linearly: exact in alpha and |B|. Control: without the data's noise."""
    model = ds.DeepLinearNetwork(np.diag(singular), widths, **noises(label_noise=1e-5, gradient_noise=1e-12,
                                                                     product_noise=1e-12))  # fmt: skip
    alpha = part * model.max_learning_rate(batch)
    run = recorded(model, alpha, batch, 6000, 30)
    predicted = model.product_variances(alpha, batch)
    assert agrees(ratios(run, predicted), allowed=0.01 if part < 0.7 else 0.04)  # tails are long near the limit
    calm = model.product_variances(alpha, 10**9) * 10**9 / batch
    assert not agrees(ratios(run, calm), allowed=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "singular", "alpha", "label"),
    [((5, 8, 5), [1, 1, 2, 2, 3], 0.005, 0.3), ((4, 6, 5, 4), [1, 1, 2, 2], 0.003, 0.3),
     ((10, 10, 10), [1, 1, 1.5, 1.5, 2, 2, 2.5, 2.5, 3, 3], 0.005, 0.2)],
)  # fmt: skip
def test_other_shapes(units, singular, alpha, label):
    """Variances of all entries; control: h of one layer more."""
    model = ds.DeepLinearNetwork(np.diag(np.array(singular, float)), units[1:-1], label_noise=label)
    more = ds.DeepLinearNetwork(model.teacher, (*units[1:-1], units[-1]), label_noise=label)
    check(model, alpha, 16, 2000, allowed=0.01, wrong=[more.product_variances(alpha, 16)])


def test_means():
    """To order alpha sigma^2/|B|, of levels 1 and 2; control: the repulsion of the levels alone."""
    model = ds.DeepLinearNetwork(np.diag([1.0, 2.0]), (2,), **noises(label_noise=0.5))
    alpha, batch = 0.03, 16
    run = recorded(model, alpha, batch, 20_000, 8, records=10)
    values = run.singular_values.mean(axis=1) - [1.0, 2.0]
    error, shift = values.std(axis=0) / len(values) ** 0.5, model.singular_value_shift(alpha, batch)
    assert (np.abs(values.mean(axis=0) - shift) < 4 * error + 0.05 * np.abs(shift)).all()
    v = alpha * 0.25 / 32
    assert (np.abs(values.mean(axis=0) - v * 3 * np.array([-1 / 3, 2 / 3])) > 8 * error).any()
    squares = run.eigenvalues.mean(axis=1) - [1.0, 4.0]
    error, shift = squares.std(axis=0) / len(squares) ** 0.5, model.mean_shift(alpha, batch)
    assert (np.abs(squares.mean(axis=0) - shift) < 4 * error + 0.05 * np.abs(shift).max()).all()


@pytest.mark.slow
def test_means_of_three_layers_and_other_shapes():
    """Relative to the largest, 8%: next orders are of relative order alpha h."""
    for units, layers in (((3, 3, 3, 3), 3), ((2, 4, 3), 2)):
        teacher = np.zeros((units[-1], units[0]))
        np.fill_diagonal(teacher, [1.0, 2.0, 3.0][: units[0]])
        model = ds.DeepLinearNetwork(teacher, units[1:-1], label_noise=0.5)
        alpha = 0.02 / layers
        run = recorded(model, alpha, 8, 12_000, 5, records=10)
        values = run.singular_values.mean(axis=1) - np.sqrt(model.fixed_point())
        error, shift = values.std(axis=0) / len(values) ** 0.5, model.singular_value_shift(alpha, 8)
        assert (np.abs(values.mean(axis=0) - shift) < 4 * error + 0.08 * np.abs(shift).max()).all()


def test_early_and_late_widths_of_a_rectangular_network():
    """n_0 = 2, n_2 = 6: label noise moves the layers from balance to the flattest factors, and the widths with them.

    The early h at late times, and the late one at early times, must fail.
    """
    model = ds.DeepLinearNetwork(4 * np.eye(6, 2), (2,), label_noise=1.0)
    alpha, batch = 0.015, 4
    settled = 5 / model.balancing_rate(alpha, batch)
    early, late = (model.product_variances(alpha, batch, when) for when in ("early", "late"))
    for first, right, wrong in ((60, early, late), (int(settled), late, early)):
        steps = [first + 16 * k for k in range(6)]
        run = ds.simulate(ds.SGD(model, alpha, batch), 1500, steps[-1], 1, record_steps=steps, keep_weights=True)
        assert agrees(ratios(run, right), allowed=0.05)
        assert not agrees(ratios(run, wrong), allowed=0.2)
    (D,) = ds.balancedness(run)
    kappa = 3**0.5
    found = np.trace(D.mean(axis=(0, 1))) / 2
    assert found == pytest.approx(4 * (kappa - 1 / kappa), rel=0.1)  # W_2 W_2^T = kappa S, W_1^T W_1 = S/kappa
    for layer in (0, 1):
        middle = run.singular_values_of(layer)[..., -2:].mean()
        assert middle == pytest.approx(model.layer_singular_values(layer, "late")[-1], rel=0.05)


def test_balance_is_found_at_the_predicted_rate():
    """D = W_2^T W_2 - W_1 W_1^T decays at alpha^2 sigma^2 n/|B|, with corrections of order alpha h (0.05 here)."""
    model = ds.DeepLinearNetwork(PAIR, (2,), **noises(label_noise=1.0), init="normal")
    alpha, batch = 0.0125, 4
    rate = ds.DeepLinearNetwork(PAIR, (2,), label_noise=1.0).balancing_rate(alpha, batch)
    times = [int(k / rate) for k in (0.5, 1.0, 1.5)]
    run = ds.simulate(ds.SGD(model, alpha, batch, init_scale=0.8), 1000, times[-1], 3, record_steps=times,
                      keep_weights=True)  # fmt: skip
    (D,) = ds.balancedness(run)
    one = D[:, 0].reshape(1000, -1)
    found = [-np.log((one * D[:, k].reshape(1000, -1)).mean() / (one**2).mean()) / (0.5 * k) for k in (1, 2)]
    assert 0.98 < found[0] < 1.15
    assert 0.98 < found[1] < 1.15


@pytest.mark.slow
def test_where_balancedness_ends():
    """Square layers: Var D_ij = alpha^2 sigma^2 s_i s_j (1 + (n + 1)/|B|)/|B| under label noise; without end under
    gradient noise, 4 s alpha^2 eps^2 t/|B|.
    """
    s, alpha, batch = np.array([3.0, 2.0, 1.0]), 0.02, 8
    model = ds.DeepLinearNetwork(np.diag(s), (3,), label_noise=1.0)
    steps = int(3 / model.balancing_rate(alpha, batch))
    run = ds.simulate(ds.SGD(model, alpha, batch), 2000, steps, 1, keep_weights=True)
    (D,) = ds.balancedness(run)
    basis = np.linalg.svd(run.layers[0][:, -1])[0]
    D = np.einsum("rai,rab,rbj->rij", basis, D[:, -1], basis)
    want = alpha**2 * np.outer(s, s) * (1 + 4 / batch) / batch
    off = np.triu_indices(3, 1)
    assert (D.var(axis=0) / want)[off] == pytest.approx(1.0, rel=0.2)  # corrections of order alpha h
    noisy = ds.DeepLinearNetwork(PAIR, (2,), gradient_noise=0.3)
    run = ds.simulate(ds.SGD(noisy, 0.01, 8), 4000, 1000, 1, record_every=500, keep_weights=True)
    (D,) = ds.balancedness(run)
    for k, time in enumerate((500, 1000)):
        assert D[:, k, 0, 1].var() / (4 * 2 * 0.01**2 * 0.09 * time / 8) == pytest.approx(1.0, rel=0.1)


@pytest.mark.slow
def test_flattest_state_of_three_layers():
    """The layer between becomes isotropic, and widths change with it; the early h, the control, must fail."""
    model = ds.DeepLinearNetwork(np.diag([1.0, 4.0]), (2, 2), label_noise=1.0)
    alpha, batch = 0.008, 2
    first = int(6 * batch / alpha**2)
    steps = [first + 40 * k for k in range(12)]
    run = ds.simulate(ds.SGD(model, alpha, batch), 600, steps[-1], 1, record_steps=steps, keep_weights=True)
    assert agrees(ratios(run, model.product_variances(alpha, batch, "late")), allowed=0.06)
    assert not agrees(ratios(run, model.product_variances(alpha, batch)), allowed=0.06)
    middle = run.singular_values_of(1).mean(axis=(0, 1))
    np.testing.assert_allclose(middle, model.layer_singular_values(1, "late"), rtol=0.06)


@pytest.mark.slow
def test_untrained_layers():
    """Only the second of two layers moves: h_ij = b(j)^2; control: h of both."""
    model = ds.DeepLinearNetwork(np.diag([1.0, 2.0]), (2,), label_noise=0.5, trained=(False, True))
    np.testing.assert_allclose(model.curvature(), [[2.0, 1.0], [2.0, 1.0]])
    both = ds.DeepLinearNetwork(model.teacher, (2,), label_noise=0.5)
    check(model, 0.05, 16, 3000, wrong=[both.product_variances(0.05, 16)])


@pytest.mark.slow
def test_levels_of_description():
    """Dyson and the gas have the mean and the spacing of SGD; the independent closure, the control, has not.

    False alarms once in 1e3 numbers, 8 of them.
    """
    sgd = ds.SGD(ds.DeepLinearNetwork(PAIR, (2,), **noises(label_noise=0.5)), 0.02, 16)
    result = ds.hierarchy(sgd, 3000, closure="both", settle=100, records=20, path=0, resamples=99, progress=False)
    assert set(result.runs) == {"sgd", "langevin", "dyson", "independent", "gas"}
    for quantity in result.quantities:
        for level in ("langevin", "dyson", "gas"):
            assert abs(quantity.deviation(level).sigmas) < 3.8
    assert max(abs(q.deviation("independent").sigmas) for q in result.quantities) > 4


@pytest.mark.slow
@pytest.mark.parametrize("layers", [2, 3])
def test_momentum(layers):
    """Exact in alpha, |B| and m; control: alpha/(1 - m) replaced by alpha."""
    model = ds.DeepLinearNetwork(np.diag([1.0, 2.0]), (2,) * (layers - 1), label_noise=0.5)
    m, alpha = 0.5, 0.05 / layers
    sgd = ds.SGD(model, alpha, 16, momentum=m)
    every = int(2 * (1 - m) / (alpha * model.curvature().min()))
    steps = [5 * every + k * every for k in range(15)]
    run = ds.simulate(sgd, 4000, steps[-1], 1, record_steps=steps, keep_weights=True)
    assert agrees(ratios(run, model.under(sgd.optimizer).product_variances(alpha, 16)), allowed=0.005)
    assert not agrees(ratios(run, model.product_variances(alpha, 16)), allowed=0.1)


@pytest.mark.parametrize("layers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_weight_decay(layers):
    """u^(L-2) (s - u^L) = lambda, and widths to leading order; control: without the decay."""
    model = ds.DeepLinearNetwork(np.diag([1.0, 3.0]), (2,) * (layers - 1), label_noise=0.5)
    sgd = ds.SGD(model, 0.004, 16, weight_decay=0.2)
    every = int(2 / sgd.relaxation_rates().min())
    steps = [4 * every + k * every for k in range(12)]
    run = ds.simulate(sgd, 4000, steps[-1], 1, record_steps=steps)
    values, widths = np.sqrt(sgd.fixed_point()), sgd.singular_value_widths()
    if layers == 2:
        np.testing.assert_allclose(values, [0.8, 2.8])
    found = run.singular_values
    assert np.abs(found.mean(axis=(0, 1)) - values).max() < 0.2 * widths.min()
    np.testing.assert_allclose(found.std(axis=(0, 1)), widths, rtol=0.03)
    plain = model.singular_value_widths(0.004, 16)
    assert np.abs(found.std(axis=(0, 1)) / plain - 1).max() > 0.04


def test_the_generic_stationary_law_agrees():
    """Of another module, from the update alone by sampling (0.2%): widths, and half of the directions flat."""
    sgd = ds.SGD(ds.DeepLinearNetwork(np.diag([1.0, 2.0]), (2,), label_noise=0.5), 0.01, 16)
    law = ds.stationary(sgd)
    assert law.flat_directions == 4
    np.testing.assert_allclose(law.widths, sgd.singular_value_widths(), rtol=0.02)
    assert np.abs(law.widths / ds.SGD(sgd.model, 0.011, 16).singular_value_widths() - 1).min() > 0.02  # the control
