"""Models: constructors, and closed predictions.

Statistical tests use fixed seeds and compare z-scores with a bound that a correct prediction passes with the stated
probability; each carries a negative control, a prediction that is a few percent wrong and must be caught.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference import LINEAR, worst

from dysonsim.kernels.networks.rbm import noise_polynomials
from dysonsim.models import GaussianRBM, LinearNetwork, TeacherStudent
from dysonsim.models._goe import mean_goe_spacing
from dysonsim.models.rbm.eigenbasis import eigenbasis


def decay_of_null_levels(model, alpha):
    """Rates of x in W <- (1 - alpha P) W from a random start, of all but the identically vanishing levels, ascending.

    From the exterior powers of the steps: the product of the k largest singular values decays as its k-th power does.
    """
    p, n = model.weight_shape
    fast = np.linalg.svd(np.eye(p) - alpha * model.hessian, compute_uv=False)[: min(p, n)]
    return -2 * np.log(fast)[::-1]


Z_PAIR = np.linalg.cholesky(np.array([[2.0, 1.0], [1.0, 2.0]])).T


@pytest.mark.parametrize("shape", [(2, 2), (4, 2), (2, 5), (3, 3)])
def test_levels_with_fixed_point_zero_decay_in_the_modes_of_the_output_layer(shape):
    """A teacher 0, P not diagonal: rates from the singular values of the steps themselves."""
    z = np.random.default_rng(3).normal(size=(6, shape[0]))
    model = LinearNetwork(np.zeros(shape), z / 3)
    rates = model.relaxation_rates(0.01)
    identically = max(0, shape[1] - shape[0])
    assert np.isinf(rates[:identically]).all()
    np.testing.assert_allclose(rates[identically:], decay_of_null_levels(model, 0.01), rtol=1e-9)
    w = np.random.default_rng(4).normal(size=shape)
    x = [np.linalg.svd(np.linalg.matrix_power(np.eye(shape[0]) - 0.01 * model.hessian, t) @ w)[1][0] for t in (0, 4000)]
    assert np.isfinite(x).all()


@pytest.mark.parametrize("turn", [False, True])
def test_null_levels_beside_a_learned_one(turn):
    """diag(2, 0, 0) with Z^T Z = 1 + [[2, 1], [1, 2]], as it stands and in another basis, where 0 is a rounding."""
    rng = np.random.default_rng(5)
    left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] if turn else np.eye(3) for _ in range(2))
    z = np.zeros((3, 3))
    z[0, 0], z[1:, 1:] = 1.0, Z_PAIR
    model = LinearNetwork(left @ np.diag([2.0, 0, 0]) @ right.T, z @ left.T)
    exact = [-2 * math.log(0.97), -2 * math.log(0.99), 0.01]
    np.testing.assert_allclose(model.relaxation_rates(0.01), exact, rtol=1e-9)
    np.testing.assert_allclose(model.fixed_point(), [0, 0, 4], atol=1e-12)
    # the control: the path of the mean from a start close to the teacher
    start = model.teacher + 1e-3 * left[:, 1:] @ rng.normal(size=(2, 2)) @ right[:, 1:].T
    levels = []
    for t in (600, 900):
        decay = np.linalg.matrix_power(np.eye(3) - 0.01 * model.hessian, t)
        levels.append(np.linalg.svd(model.teacher + decay @ (start - model.teacher))[1][1] ** 2)
    if not turn:
        assert math.log(levels[0] / levels[1]) / 300 == pytest.approx(exact[1], rel=1e-3)


def test_one_convention_for_levels_that_are_identically_zero():
    wide = TeacherStudent(np.eye(2, 4), gradient_noise=0.1)
    narrow = GaussianRBM.scalar_field(6, mass=2.0, mu=2.5, n_hidden=2)
    assert np.isinf(wide.relaxation_rates(0.1)).tolist() == [True, True, False, False]
    assert np.isinf(narrow.relaxation_rates(0.1)).sum() == 4


@pytest.mark.parametrize("n", [2, 3, 10, 11, 200])
def test_scalar_field_spectrum_and_fixed_point(n):
    model = GaussianRBM.scalar_field(n, mass=1.5, mu=3.0, sigma=0.7)
    kappa = np.sort(1.5**2 + 2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))
    np.testing.assert_allclose(model.kappa[::-1], kappa, rtol=1e-12)
    x = model.fixed_point()
    assert model.weight_shape == (n, n)
    assert (np.diff(x) >= 0).all()
    np.testing.assert_allclose(x[::-1], (9 - kappa) / 0.49, rtol=1e-12)
    np.testing.assert_allclose(model.to_lambda(x), kappa[::-1], rtol=1e-12)
    assert len(model.degenerate_groups()) == (n - 1) // 2
    assert all(len(group) == 2 for group in model.degenerate_groups())


def test_rbm_papers_ring():
    model = GaussianRBM.scalar_field(10, mass=2.0, mu=3.0)
    assert model.degenerate_groups() == [(1, 2), (3, 4), (5, 6), (7, 8)]
    np.testing.assert_allclose(model.drift(model.fixed_point(), 1e-6, 16), 0, atol=1e-10)
    # sqrt(2 pi) without the memory of the chains; with it the factor sqrt(c) at k = 1, kappa = 4.382
    unit = np.sqrt(0.02 / 16 * (9 - model.kappa[[1, 3, 5, 7]]))
    fresh = GaussianRBM.scalar_field(10, mass=2.0, mu=3.0, gibbs_steps=math.inf)
    np.testing.assert_allclose(fresh.mean_spacings(0.02, 16) / unit, math.sqrt(2 * math.pi), rtol=1e-6)
    single = GaussianRBM.scalar_field(10, mass=2.0, mu=3.0, gibbs_steps=1)
    a2 = (1 - model.kappa[7] / 9) ** 2
    expected = math.sqrt(2 * math.pi * (1 + a2) / (1 - a2))
    assert single.mean_spacings(0.02, 16)[3] / unit[3] == pytest.approx(expected, rel=1e-6)


def test_rbm_mean_shift_formula():
    # gibbs_steps = inf is the closed formula with c = 1; here written out once more in plain loops
    model = GaussianRBM.scalar_field(10, mass=2.0, mu=3.0, gibbs_steps=math.inf)
    x, kappa = model.fixed_point(), model.kappa
    expected = np.zeros(10)
    for i in range(10):
        for m in range(10):
            twice = 1 + (i == m)
            expected[i] += twice * (kappa[i] / x[i] * x[m] / kappa[m] - 9 / x[i] * (x[i] + x[m]) / kappa[m])
            if abs(kappa[i] - kappa[m]) > 1e-6:
                expected[i] += (x[i] + x[m]) / (x[i] - x[m])
    np.testing.assert_allclose(model.mean_shift(0.02, 16), 0.02 / 32 * expected, rtol=1e-9)
    # Mean lambda/kappa, 1024 networks, 35000 steps, k = 3, alpha = .02, |B| = 16: 1.00324, 1.00349, 1.00307, 1.00285 (4
    # in the last place but one). The next order, which is larger than that error, is not in the prediction.
    paper = GaussianRBM.scalar_field(10, mass=2.0, mu=3.0)
    ratio = 1 - paper.mean_shift(0.02, 16) / kappa
    np.testing.assert_allclose(ratio[[7, 5, 3, 1]], [1.00324, 1.00349, 1.00307, 1.00285], atol=4e-4)


def test_rbm_sigma_sets_units():
    one = GaussianRBM.scalar_field(4, mass=2.0, mu=3.0, gibbs_steps=2)
    model = GaussianRBM.scalar_field(4, mass=2.0, mu=3.0, gibbs_steps=2, sigma=0.7)
    s2, x = 0.49, np.array([0.9, 2.0, 2.1, 4.0])
    for name in ("drift", "noise"):
        mine, theirs = getattr(model, name)(x / s2, 0.05 / s2, 8), getattr(one, name)(x, 0.05, 8)
        np.testing.assert_allclose(mine, theirs / s2, rtol=1e-12)
    for name in ("stationary_widths", "mean_shift", "mean_spacings"):
        mine, theirs = getattr(model, name)(0.05 / s2, 8), getattr(one, name)(0.05, 8)
        np.testing.assert_allclose(mine, theirs / s2, rtol=1e-12)
    np.testing.assert_allclose(model.relaxation_rates(0.05 / s2), one.relaxation_rates(0.05), rtol=1e-12)
    assert model.max_learning_rate(8) == pytest.approx(one.max_learning_rate(8) / s2)
    ratio = one.stationary_widths(0.1, 4) / one.singular_value_widths(0.1, 4)
    np.testing.assert_allclose(ratio, 2 * np.sqrt(one.fixed_point()), rtol=1e-12)


def test_rbm_levels_that_are_not_learned():
    narrow = GaussianRBM.scalar_field(6, mass=2.0, mu=2.5, n_hidden=2)  # kappa 4, 5, 5, 7, 7, 8; mu^2 = 6.25
    np.testing.assert_allclose(narrow.fixed_point(), [0, 0, 0, 0, 1.25, 2.25], atol=1e-12)
    assert narrow.degenerate_groups() == []
    assert narrow.weight_shape == (2, 6)
    assert (narrow.stationary_widths(0.1, 8)[:4] == 0).all()
    assert (narrow.mean_shift(0.1, 8)[:4] == 0).all()
    assert np.isinf(narrow.relaxation_rates(0.1)[:4]).all()
    with pytest.raises(ValueError, match=r"mu = 2.5: mu\^2 = 6.25 must exceed .* kappa = 8"):
        GaussianRBM.scalar_field(6, mass=2.0, mu=2.5)
    forced = GaussianRBM.scalar_field(6, mass=2.0, mu=2.5, allow_unreachable=True)
    np.testing.assert_allclose(forced.fixed_point(), [0, 0, 0, 1.25, 1.25, 2.25], atol=1e-12)
    assert forced.degenerate_groups() == [(3, 4)]
    np.testing.assert_allclose(forced.relaxation_rates(0.1)[0], 0.2 * (1 / 6.25 - 1 / 8))
    # A level at the wall stays there on average: the drift at x = 0 cancels the repulsion of the others
    x = forced.fixed_point()
    repulsion = (forced.noise(x, 0.1, 8)[0, 3:] ** 2 / x[3:]).sum()
    assert forced.drift(x, 0.1, 8)[0] == pytest.approx(repulsion, rel=0.05)  # c_0j = 1 there, up to 0


@pytest.mark.parametrize("k", [1, 2, 3, 10, 101, 3000])
def test_squares_of_the_noise_polynomials_add_up_to_even_powers(k):
    coefficients, x = noise_polynomials(k), np.linspace(0, 1, 11)
    q, r = (np.polynomial.polynomial.polyval(x, coefficients[:, i]) for i in range(2))
    np.testing.assert_allclose(q**2 + r**2, np.polynomial.polynomial.polyval(x**2, np.ones(k)), rtol=1e-11)
    assert np.abs(coefficients).max() < 1 + 1e-9


@pytest.mark.parametrize("values", [[2.0] * 40, np.repeat([1.0, 3.0, 5.0], [1, 30, 9]), np.arange(1.0, 41.0)])
def test_rounding_does_not_turn_the_eigenbasis(values):
    random = np.random.default_rng(4)
    vectors = np.linalg.qr(random.normal(size=(40, 40)))[0]
    matrix = vectors * values @ vectors.T
    rounded = matrix + 1e-15 * random.normal(size=(40, 40))
    v, again = eigenbasis((matrix + matrix.T) / 2), eigenbasis((rounded + rounded.T) / 2)
    np.testing.assert_allclose(v.T @ v, np.eye(40), atol=1e-13)
    np.testing.assert_allclose(v.T @ matrix @ v, np.diag(values), atol=1e-12)
    np.testing.assert_allclose(again, v, atol=1e-9)


def test_linear_leading_orders():
    pair = TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    # PHYSICS: 1.8185 = sqrt(pi / (1 - alpha/2)) at alpha = .1, reached as 1/|B| -> 0; data noise adds 0.3% at 16
    assert pair.singular_value_spacings(0.1, 10**9)[0] / math.sqrt(0.1 * 0.01 / 1e9) == pytest.approx(
        math.sqrt(math.pi / 0.95), rel=1e-6
    )
    assert pair.singular_value_spacings(0.1, 16)[0] / math.sqrt(0.1 * 0.01 / 16) == pytest.approx(1.82454, rel=1e-5)
    np.testing.assert_allclose(pair.mean_spacings(0.1, 16), 4 * pair.singular_value_spacings(0.1, 16))
    species = LinearNetwork(2 * np.eye(2), np.diag([3.0, 1.0]), gradient_noise=0.1)
    unit = math.sqrt(1e-6 * 0.01 / 16)
    np.testing.assert_allclose(species.singular_value_widths(1e-6, 16) / unit, [1, 1 / 3], rtol=1e-4)
    std12 = math.sqrt((1 / 2 + 1 / 18 + 2 / 10) / 4)
    np.testing.assert_allclose(np.array(species.exact_two_by_two(1e-6, 16)) / unit, [1, 1 / 3, std12], rtol=1e-4)
    np.testing.assert_allclose(species.relaxation_rates(0.01), [0.01, 0.09], rtol=1e-12)
    labels = LinearNetwork(2 * np.eye(2), np.diag([3.0, 1.0]), label_noise=0.1)
    np.testing.assert_allclose(labels.singular_value_widths(1e-6, 16) / unit, math.sqrt(0.5), rtol=1e-4)
    # A rotated basis for Z changes nothing: the noise is isotropic and the teacher a multiple of 1
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    turned = LinearNetwork(2 * np.eye(2), np.diag([3.0, 1.0]) @ turn, gradient_noise=0.1)
    np.testing.assert_allclose(turned.exact_two_by_two(0.05, 16), species.exact_two_by_two(0.05, 16), rtol=1e-9)
    many = TeacherStudent(2 * np.eye(4), gradient_noise=0.1)
    spacing = many.singular_value_spacings(1e-6, 16)[0]
    assert spacing == pytest.approx(unit * mean_goe_spacing(4), rel=1e-4)
    with pytest.raises(ValueError, match="not isotropic"):
        LinearNetwork(2 * np.eye(3), np.diag([1.0, 2.0, 3.0]), gradient_noise=0.1).mean_spacings(0.01, 16)


def test_weight_covariance_holds_the_widths():
    for model in LINEAR.values():
        p, n = model.weight_shape
        covariance = model.weight_covariance(0.1, 8)
        flat = covariance.reshape(p * n, p * n)
        assert np.allclose(flat, flat.T)
        assert np.linalg.eigvalsh(flat)[0] > 0
        left, _, right = np.linalg.svd(model.teacher, full_matrices=False)
        widths = np.sqrt(np.einsum("ak,ki,aibj,bk,kj->k", left, right, covariance, left, right))[::-1]
        np.testing.assert_allclose(model.singular_value_widths(0.1, 8)[n - len(widths) :], widths, rtol=1e-9)


def test_mean_goe_spacing():
    assert mean_goe_spacing(2) == pytest.approx(math.sqrt(math.pi), rel=1e-6)
    rng = np.random.default_rng(4)
    for levels in (3, 6, 9):
        a = rng.normal(size=(20_000, levels, levels))
        e = np.linalg.eigvalsh((a + a.swapaxes(1, 2)) / 2)
        gap = (e[:, -1] - e[:, 0]) / (levels - 1)
        # false alarm 6e-5 each; the control is 2% off
        assert worst(gap, mean_goe_spacing(levels)) < 4 < worst(gap, 1.02 * mean_goe_spacing(levels))


def test_models_are_values():
    a, b = (GaussianRBM.scalar_field(4, mass=1.0, mu=3.0, gibbs_steps=k) for k in (3, math.inf))
    assert a == GaussianRBM(a.target.tolist(), 3)
    assert hash(a) == hash(GaussianRBM(a.target, 3.0))
    assert a != b
    assert TeacherStudent(np.eye(2)) != LinearNetwork(np.eye(2), np.eye(2))
    assert repr(TeacherStudent(np.eye(2), 0.1)).startswith("TeacherStudent(teacher=<2 x 2>, gradient_noise=0.1")
    with pytest.raises(ValueError, match="read-only"):
        a.target[0, 0] = 7.0
    with pytest.raises(AttributeError):
        a.mu = 2.0
    given = np.eye(2)
    model = TeacherStudent(given)
    given[0, 0] = 5.0
    assert model.teacher[0, 0] == 1.0
    assert TeacherStudent(np.eye(2), dataset_size=64).check_batch_size(16) == 16


RING, EYE = (6.0 * np.eye(3) - 0.5).tolist(), np.eye(2)
BAD = [
    (lambda: GaussianRBM([[1.0, 2.0], [0.0, 1.0]], 3), ValueError, "target: must be symmetric"),
    (lambda: GaussianRBM(-EYE, 3), ValueError, "target: must be positive definite"),
    (lambda: GaussianRBM([[1.0, math.nan], [math.nan, 1.0]], 3), ValueError, r"target\[0, 1\] = nan"),
    (lambda: GaussianRBM(np.ones((2, 3)), 3), ValueError, r"target has shape \(2, 3\)"),
    (lambda: GaussianRBM("ring", 3), TypeError, "target"),
    (lambda: GaussianRBM(RING, 2), ValueError, r"mu = 2: mu\^2 = 4 must exceed"),
    (lambda: GaussianRBM(RING, -3), ValueError, "mu = -3"),
    (lambda: GaussianRBM(RING, 3, sigma=0), ValueError, "sigma = 0"),
    (lambda: GaussianRBM(RING, 3, gibbs_steps=0), ValueError, "gibbs_steps = 0.*or math.inf"),
    (lambda: GaussianRBM(RING, 3, gibbs_steps=2.5), TypeError, "gibbs_steps = 2.5"),
    (lambda: GaussianRBM(RING, 3, n_hidden=0), ValueError, "n_hidden = 0"),
    (
        lambda: GaussianRBM(RING, 3, sampling="exact"),
        ValueError,
        "sampling = 'exact'.*'at_once', 'two_noises', 'step_by_step'",
    ),
    (lambda: GaussianRBM(RING, 3, gibbs_steps=math.inf, sampling="step_by_step"), ValueError, "sampling"),
    (lambda: GaussianRBM(RING, 3, allow_unreachable=1), TypeError, "allow_unreachable"),
    (lambda: GaussianRBM.scalar_field(1, 2, 3), ValueError, "n_visible = 1"),
    (lambda: GaussianRBM.scalar_field(4, 0, 3), ValueError, "mass = 0"),
    (lambda: GaussianRBM(RING, 3).drift([1, 2], 0.1, 4), ValueError, r"x has shape \(2,\)"),
    (lambda: GaussianRBM(RING, 3).drift([1, 2, 9.5], 0.1, 4), ValueError, r"x = .*must be < mu\^2/sigma\^2 = 9"),
    (lambda: GaussianRBM(RING, 3).noise([1, -2, 3], 0.1, 4), ValueError, "x = "),
    (lambda: GaussianRBM(RING, 3).stationary_widths(0, 4), ValueError, "learning_rate = 0"),
    (lambda: GaussianRBM(RING, 3).stationary_widths(0.1, 0), ValueError, "batch_size = 0"),
    (lambda: GaussianRBM(RING, 3).max_learning_rate(1.5), TypeError, "batch_size = 1.5"),
    (lambda: TeacherStudent([1.0, 2.0]), ValueError, r"teacher has shape \(2,\)"),
    (lambda: TeacherStudent([[math.inf]]), ValueError, r"teacher\[0, 0\] = inf"),
    (lambda: TeacherStudent(EYE, gradient_noise=-1), ValueError, "gradient_noise = -1"),
    (lambda: TeacherStudent(EYE, label_noise=math.nan), ValueError, "label_noise = nan"),
    (lambda: TeacherStudent(EYE, dataset_size=0), ValueError, "dataset_size = 0"),
    (
        lambda: TeacherStudent(EYE, dataset_size=50).check_batch_size(16),
        ValueError,
        "batch_size = 16.*dataset_size = 50",
    ),
    (lambda: TeacherStudent(EYE).stationary_widths(2.0, 16), ValueError, "learning_rate = 2: must be < 1.68"),
    (lambda: TeacherStudent(EYE).relaxation([0.5], [1, 1], 0.1), ValueError, "steps"),
    (lambda: TeacherStudent(np.ones((1, 2))).drift([1, 2], 0.1, 4), ValueError, "the first 1 levels are 0"),
    (lambda: TeacherStudent(np.diag([1.0, 2.0])).exact_two_by_two(0.1, 4), ValueError, "teacher"),
    (lambda: LinearNetwork(EYE, np.eye(3)), ValueError, r"output_layer has shape \(3, 3\).*any x 2"),
    (lambda: LinearNetwork(EYE, [[1.0, 1.0]]).fixed_point(), ValueError, "output_layer: Z.T Z has eigenvalues"),
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_input_names_the_argument(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("k", [1, 2, 7, 12, 10**6, 10**12])
def test_predictions_for_many_gibbs_steps(k):
    """sum_l a^l b^(k-1-l) against its closed form and, at few steps, the sum."""
    model = GaussianRBM.scalar_field(3, 1.5, 2.8, gibbs_steps=k)
    a = np.array([0.3, 0.55, 0.9])
    found = model._power_slope(a) * model.mu**2
    i, j = np.triu_indices(3, 1)
    np.testing.assert_allclose(found[i, j], (a[i] ** k - a[j] ** k) / (a[i] - a[j]), rtol=1e-12)
    np.testing.assert_allclose(np.diag(found), k * a ** (k - 1.0), rtol=1e-9, atol=1e-300)
