"""The compiled training against independent numbers: measured elsewhere, derived, or trained by the slow reference.

Reference numbers of the Gaussian RBM: 10 x 10, scalar field with mass 2, mu = 3, sigma = 1, |B| = 16, trained with
separate prototype code in PyTorch and Numba (statistical error in brackets). Thresholds of 4 standard errors: a right
simulator fails one such comparison in 16 000; there are about 40 here.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference

import dysonsim as ds

KAPPA = [4.381966, 5.381966, 6.618034, 7.618034]
# <S> / sqrt((alpha/B)(mu^2 - kappa)) of the four degenerate pairs, with the error of the last digits.
SPACINGS = {
    (0.02, 3): ([2.472, 2.485, 2.479, 2.472], [0.009, 0.010, 0.010, 0.010]),
    (0.02, 1): ([3.083, 2.922, 2.658, 2.521], [0.021, 0.020, 0.018, 0.017]),
    (0.1, 3): ([2.199, 2.380, 2.345, 2.303], [0.015, 0.016, 0.016, 0.016]),
}
# Mean lambda / kappa of the pairs, printed to the last digit given.
SHIFTS = {(0.02, 3): ([1.0032, 1.0034, 1.0031, 1.0028], 0.0001), (0.1, 3): ([1.0155, 1.018, 1.015, 1.014], 0.0006)}


REPLICAS, RECORDS = 256, 15  # equilibration costs as much as the records: few networks, each seen often


def rbm(gibbs_steps=3, **options):
    return ds.GaussianRBM.scalar_field(10, mass=2.0, mu=3.0, gibbs_steps=gibbs_steps, **options)


def stationary(model, learning_rate, seed=11, batch=16, dtype="float64"):
    """Networks past equilibration, recorded at intervals of about a relaxation time of the slowest pair.

    The errors are those of means over each network's records, so that they hold whatever the records share.
    """
    equilibrated, interval = int(250 / learning_rate), int(20 / learning_rate)
    steps = [equilibrated + interval * i for i in range(RECORDS)]
    sgd = ds.SGD(model, learning_rate, batch)
    return ds.simulate(sgd, REPLICAS, steps[-1], seed, record_steps=steps, dtype=dtype)


def pair_statistics(run):
    """Mean spacing over its scale and mean lambda / kappa of the four pairs, each (value, error over networks)."""
    model, alpha, batch = run.process.model, run.process.learning_rate, run.process.batch_size
    spacings, shifts = [], []
    for low, high in reversed(model.degenerate_groups()):  # ascending kappa
        x = run.eigenvalues[:, :, [low, high]]
        kappa = model.kappa[low]
        spacing = (x[..., 1] - x[..., 0]).mean(axis=1) / math.sqrt(alpha / batch * (model.mu**2 - kappa))
        spacings.append(ds.mean_and_error(spacing))
        shifts.append(ds.mean_and_error(model.to_lambda(x).mean(axis=(1, 2)) / kappa))
    return np.array(spacings).T, np.array(shifts).T


@pytest.fixture(scope="module")
def runs():
    return {(a, k): stationary(rbm(k), a) for a, k in SPACINGS}


@pytest.mark.parametrize("point", SPACINGS)
def test_rbm_mean_spacings(runs, point):
    (measured, error), _ = pair_statistics(runs[point])
    table, table_error = map(np.array, SPACINGS[point])
    z = (measured - table) / np.hypot(error, table_error)
    assert (abs(z) < 4).all(), (measured, error)
    off = (1.03 * measured - table) / np.hypot(error, table_error)
    assert (off > 2).any(), "the control: 3% too wide must show"


@pytest.mark.parametrize("point", SHIFTS)
def test_rbm_mean_levels(runs, point):
    _, (measured, error) = pair_statistics(runs[point])
    table, rounding = SHIFTS[point]
    assert (abs(measured - table) < 4 * np.hypot(error, rounding)).all(), (measured, error)
    assert (measured - 4 * error > 1).all(), "the control: the fixed point without the shift is excluded"


def test_spacings_of_a_pair_follow_the_surmise(runs):
    """At small learning rate; the Poisson-like beta = 2 surmise is the negative control."""
    run = runs[0.02, 3]
    spacing = run.spacings(run.process.model.degenerate_groups()[-1])[:, 0]
    assert ds.compare(spacing, ds.laws.WignerSurmise).pvalue > 1e-3
    assert ds.compare(spacing, ds.laws.WignerSurmise(beta=2), fit=("scale",)).pvalue < 1e-3


@pytest.mark.parametrize("sampling", [pytest.param("step_by_step", marks=pytest.mark.slow), "at_once", "two_noises"])
def test_all_ways_to_draw_k_gibbs_steps_have_one_law(runs, sampling):
    """Against the run with the other seed, and for the others against the short cut."""
    run = stationary(rbm(sampling=sampling), 0.1, seed=12)
    for mine, other in zip(pair_statistics(run), pair_statistics(runs[0.1, 3]), strict=True):
        assert (abs(mine[0] - other[0]) < 4 * np.hypot(mine[1], other[1])).all()


def test_float32_trains_the_same_law():
    """Four levels, as in other tests: each size is a kernel to compile for each float type."""
    model = CASES["rbm"][0]
    single, double = (stationary(model, 0.1, seed, dtype=dtype) for seed, dtype in ((13, "float32"), (11, "float64")))
    for mine, other in zip(pair_statistics(single), pair_statistics(double), strict=True):
        assert (abs(mine[0] - other[0]) < 4 * np.hypot(mine[1], other[1])).all()


def test_teacher_student_spacing():
    """1.8185 from gradient noise alone, 1.8245 with the fluctuations of the data (exact second moments)."""
    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    steps = list(range(300, 901, 100))
    run = ds.simulate(ds.SGD(model, 0.1, 16), 20_000, 900, seed=5, record_steps=steps)
    scale = math.sqrt(0.1 * 0.1**2 / 16)
    spacing = np.diff(run.singular_values, axis=2)[..., 0].mean(axis=1) / scale
    mean, error = ds.mean_and_error(spacing)
    predicted = model.singular_value_spacings(0.1, 16)[0] / scale
    assert error < 0.003
    assert abs(mean - predicted) < 4 * error
    assert abs(predicted - math.sqrt(math.pi / 0.95)) < 0.007
    assert abs(mean - math.sqrt(math.pi)) > 10 * error  # the control: the factor 1/(1 - alpha/2) is needed


TIMES = [0, 3, 10, 30, 100]
CASES = {
    "rbm": (ds.GaussianRBM.scalar_field(4, mass=2.0, mu=3.2, gibbs_steps=2), 0.1, 8),
    "rbm rectangular": (ds.GaussianRBM.scalar_field(3, mass=2.0, mu=3.2, gibbs_steps=1, n_hidden=5), 0.1, 5),
    "rbm fresh": (ds.GaussianRBM.scalar_field(5, mass=2.0, mu=3.2, gibbs_steps=math.inf, n_hidden=4), 0.1, 8),
    "hidden layer": (reference.LINEAR["hidden layer"], 0.08, 6),
    "wide": (reference.LINEAR["wide"], 0.08, 5),
    "data set": (ds.TeacherStudent(2 * np.eye(2), 0.3, 0.2, dataset_size=12), 0.1, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_spectra_on_the_way_are_those_of_independently_trained_networks(name):
    """All levels at all times, two-sample test by replica; the control is trained with a rate 15% higher."""
    model, alpha, batch = CASES[name]
    replicas = 3000
    run = ds.simulate(ds.SGD(model, alpha, batch, init_scale=0.5), replicas, TIMES[-1], 3, record_steps=TIMES)
    weights = {}
    for rate in (alpha, 1.15 * alpha):
        rng = np.random.default_rng(17)
        trained = reference.train_reference(model, rate, batch, 0.5, replicas, TIMES[-1], rng, record_steps=TIMES)
        weights[rate] = ds.singular_values(trained)
    zeros = max(0, model.n - model.weight_shape[0])

    def pvalues(other):
        pairs = [(record, level) for record in range(len(TIMES)) for level in range(zeros, model.n)]
        tests = [ds.compare(run.singular_values[:, r, i], other[:, r, i]).pvalue for r, i in pairs]
        return min(tests) * len(tests)

    assert pvalues(weights[alpha]) > 1e-3
    assert pvalues(weights[1.15 * alpha]) < 1e-3
