"""Dyson Brownian motion, nested steps and default settings: statistics of gaps against exact references."""

import numpy as np
import pytest
from exact_draws import hermite
from scipy.stats import chi2

import dysonsim as ds
from dysonsim.backend import reference as plain
from dysonsim.kernels.common import quantile


def statistics(levels):
    """For each replica: ratio of successive gaps, gap and its square in the middle, smallest gap, mean square, top."""
    gaps = np.diff(levels, axis=-1)
    middle = slice(gaps.shape[-1] // 4, max(3 * gaps.shape[-1] // 4, gaps.shape[-1] // 4 + 1))
    ratios = np.minimum(gaps[..., 1:], gaps[..., :-1]) / np.maximum(gaps[..., 1:], gaps[..., :-1])
    return np.stack(
        [
            ratios[..., middle].mean(-1), gaps[..., middle].mean(-1), (gaps[..., middle] ** 2).mean(-1),
            gaps.min(-1), (levels**2).mean(-1), levels[..., -1],
        ],
        axis=-1,
    )  # fmt: skip


# What the docstring of Dyson promises, relative: ratio, mean gap, mean square of a gap, smallest gap, mean square, top.
PROMISED = np.array([0.005, 0.003, 0.006, 0.02, 0.006, 0.003])


def deviations(levels, reference):
    """Relative deviation of each statistic from the reference and its error; replicas are the first axis of both."""
    a, b = statistics(levels), statistics(reference)
    a = a.reshape(len(a), -1, a.shape[-1]).mean(1)
    scale = b.mean(0)
    error = np.hypot(a.std(0) / len(a) ** 0.5, b.std(0) / len(b) ** 0.5) / scale
    return a.mean(0) / scale - 1, error


def agree(levels, reference):
    """Whether all deviations are as promised, within 3.5 standard errors: by chance not so once in 300 calls."""
    deviation, error = deviations(levels, reference)
    return bool((abs(deviation) < PROMISED + 3.5 * error).all())


@pytest.mark.parametrize(("n", "beta", "replicas"), [(7, 0.5, 3000), (10, 6.0, 2000), (30, 1.5, 1000), (10, 50.0, 999)])
def test_a_stationary_gas_stays_what_it_is(n, beta, replicas):
    reference = hermite(n, beta, 2 * replicas, seed=n)
    options = {"rate": 0.7, "noise": 0.7**0.5, "scheme": "nested"}
    process = ds.Dyson(beta=beta, initial=reference[:replicas], **options)
    run = ds.simulate(process, replicas, times=[0.5, 1.0, 1.5], seed=1)
    assert agree(run.eigenvalues, reference)


def test_the_control_fails_a_fixed_step_of_a_tenth_of_the_relaxation_time():
    reference = hermite(30, 1.5, 1000, seed=30)
    process = ds.Dyson(beta=1.5, initial=reference[:500], dt=0.1)
    with pytest.warns(RuntimeWarning, match="dt = 0.1 is too coarse .* dt = 0.00.* would do"):
        run = ds.simulate(process, 500, times=[1.0], seed=1)
    assert not agree(run.eigenvalues, reference)
    assert not agree(hermite(30, 1.6, 1000, seed=2), reference)  # another beta


@pytest.mark.parametrize("beta", [1, *(pytest.param(beta, marks=pytest.mark.slow) for beta in (2, 4))])
def test_from_levels_far_from_equilibrium_it_follows_the_exact_transition(beta):
    start = np.concatenate([np.linspace(-4.0, -3.0, 6), [0.0, 0.1, 0.3, 5.0]])
    runs = [
        ds.simulate(ds.Dyson(beta=beta, initial=start, noise=0.8, scheme=scheme), 6000, times=[t], seed=seed)
        for t in (0.02, 0.5)
        for scheme, seed in (("nested", 1), ("matrix", 2))
    ]
    for ours, exact in zip(runs[::2], runs[1::2], strict=True):
        assert agree(ours.eigenvalues[:, 0], exact.eigenvalues[:, 0])
        (a, ea), (b, eb) = (ds.mean_and_error(r.eigenvalues[:, 0]) for r in (ours, exact))
        assert (abs(a - b) < 0.003 * np.diff(start).mean() + 4 * np.hypot(ea, eb)).all()


@pytest.mark.parametrize("scheme", ["auto", "nested"])
def test_levels_from_a_common_point_have_their_exact_law_at_every_record(scheme):
    n, beta, times = 7, 2.5, [0.01, 0.05, 2.0]
    process = ds.Dyson(n=n, beta=beta, rate=0.5, noise=0.6, center=1.0, scheme=scheme)
    run = ds.simulate(process, 5000, times=times, seed=3)
    reference = hermite(n, beta, 10_000, seed=4)
    for record, t in enumerate(times):
        width = 0.6 * ((1 - np.exp(-t)) / 0.5) ** 0.5
        assert agree((run.eigenvalues[:, record] - 1) / width, reference)
        assert not agree((run.eigenvalues[:, record] - 1) / width * 1.01, reference)  # the control: 1% too wide
    again = ds.simulate(process, 5000, times=times[:1], seed=3)
    again = ds.simulate(process, 5000, times=times, seed=3, resume=again)
    np.testing.assert_array_equal(run.spectra, again.spectra)


def test_levels_that_move_together_move_as_one():
    """From 20 widths off: the mean decays as exp(-t) whatever the repulsion is, and the gaps' law stays what it is."""
    n, beta, times = 30, 2.5, np.array([0.1, 0.3, 1.0])
    start = hermite(n, beta, 600, seed=11)
    process = ds.Dyson(beta=beta, initial=start[:300] + 20, scheme="nested")
    run = ds.simulate(process, 300, times=times, seed=12)
    drifted = run.eigenvalues.mean(-1) - np.exp(-times) * (start[:300].mean(-1)[:, None] + 20)
    value, error = ds.mean_and_error(drifted)
    assert (abs(value) < 3.5 * error + 1e-4).all()
    assert not (abs(value + 0.003 * 20) < 3.5 * error + 1e-4).any()  # the control: 0.3% of the way left behind
    assert agree(run.eigenvalues[:, 1:2] - 20 * np.exp(-times[1]), start[300:])


@pytest.mark.slow
def test_many_levels_that_spread_keep_their_mean_gaps():
    n, beta, times = 120, 4.5, [0.02, 0.05]
    run = ds.simulate(ds.Dyson(n=n, beta=beta), 16, times=times, seed=13)  # the first from the exact law
    assert run.process.nested
    square = (run.eigenvalues[:, 1] ** 2).mean(-1)
    value, error = ds.mean_and_error(square)
    exact = (1 + beta * (n - 1) / 2) * (1 - np.exp(-2 * times[1]))
    assert abs(value / exact - 1) < 0.002 + 3.5 * error / exact
    assert error / exact < 0.003


@pytest.mark.parametrize("scheme", ["auto", "nested"])
def test_two_clusters_that_start_together_spread_like_gases_of_their_own(scheme):
    process = ds.Dyson(beta=1.5, initial=[0.0] * 4 + [1e3] * 3, scheme=scheme)
    run = ds.simulate(process, 6000, times=[0.02, 0.3], seed=5)
    reference = hermite(4, 1.5, 12_000, seed=6)
    for record, t in enumerate((0.02, 0.3)):
        levels = run.eigenvalues[:, record, :4]
        levels = levels - levels.mean()
        assert agree(levels / (1 - np.exp(-2 * t)) ** 0.5, reference)


@pytest.mark.parametrize("options", [{}, pytest.param({"scheme": "pairs", "dt": 0.05}, marks=pytest.mark.slow)])
def test_two_levels_of_unequal_noise(options):
    """P ~ |x - y| exp(-x^2/2 - y^2/2 noise^2) on x < y, by quadrature."""
    noise = np.array([1.0, 0.3])
    x, y = np.meshgrid(np.linspace(-6, 6, 1501), np.linspace(-2, 2, 1501), indexing="ij")
    weight = np.where(x < y, y - x, 0.0) * np.exp(-(x**2) / 2 - y**2 / (2 * noise[1] ** 2))
    exact = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    run = ds.simulate(ds.Dyson(n=2, beta=1, noise=noise, **options), 20_000, times=[5.0, 7.0], seed=7)
    value, error = ds.mean_and_error(run.eigenvalues.mean(1))
    assert (abs(value - exact) < 0.003 + 4 * error).all()
    assert (abs(value - exact) < 0.02).all()


def test_three_levels_of_unequal_noise():
    """P ~ prod |x_i - x_j|^1.5 exp(-sum x_i^2/2 g_i^2) on x < y < z, by quadrature; by chance not so once in 100."""
    noise = np.array([1.0, 0.3, 0.6])
    x, y, z = np.meshgrid(*(np.linspace(-w, w, 160) for w in (8.0, 6.0, 7.0)), indexing="ij", sparse=True)
    weight = np.where((x < y) & (y < z), abs((y - x) * (z - y) * (z - x)) ** 1.5, 0.0)
    weight = weight * np.exp(-((x / noise[0]) ** 2 + (y / noise[1]) ** 2 + (z / noise[2]) ** 2) / 2)
    exact = [(weight * f).sum() / weight.sum() for f in (x, z, y - x, z - y, x * x, z * z)]

    def measured(noise):
        run = ds.simulate(ds.Dyson(beta=1.5, noise=noise), 12_000, times=[4.0, 5.0], seed=7)
        x, y, z = np.moveaxis(run.eigenvalues, -1, 0)
        value, error = ds.mean_and_error(np.stack([x, z, y - x, z - y, x * x, z * z], axis=-1).mean(1))
        return abs(value / exact - 1) - 3.2 * error / np.abs(exact)

    assert (measured(noise) < [0.003, 0.003, 0.003, 0.003, 0.006, 0.006]).all()
    assert (measured(noise * [1.0, 1.0, 1.05]) > 0.006).any()  # the control


def test_free_levels_that_partly_start_together_agree_with_exact_transitions():
    start, times = [0.0] * 3 + [1.0] * 4, [0.02, 0.3]
    ours, exact = (
        ds.simulate(
            ds.Dyson(beta=1.5, rate=0.0, initial=start, scheme=scheme), 8000, times=times, seed=seed
        ).eigenvalues
        for scheme, seed in (("nested", 1), ("bordering", 2))
    )
    for record in (0, 1):
        assert agree(ours[:, record], exact[:, record])
    assert not agree(ours[:, 0] * 1.02, exact[:, 0])  # the control


def test_a_double_well_agrees_with_fine_steps():
    def run(options, seed):
        process = ds.Dyson(
            beta=1.5, drift=lambda x: 3 * x - x**3, noise=0.5, initial=[-1.5, -1.0, -0.5, 0.5, 1.0], **options
        )
        return ds.simulate(process, 3000, times=[0.1, 0.4], seed=seed).eigenvalues

    nested, fine, other = run({}, 1), run({"dt": 0.001}, 2), run({"dt": 0.001}, 3)
    for record in (0, 1):
        deviation, error = deviations(nested[:, record], np.concatenate([fine[:, record], other[:, record]]))
        assert (abs(deviation) < PROMISED + 3.5 * error).all()


def test_numbers_do_not_depend_on_what_runs_beside():
    process = ds.Dyson(beta=0.7, initial=[0.0, 0.0, 0.5, 0.50001, 9.0], rate=[1.0] * 4 + [2.0])
    run = ds.simulate(process, 21, times=[0.1, 0.3], seed=8, threads=1)
    two = ds.simulate(process, 21, times=[0.1, 0.3], seed=8, threads=2)
    some = ds.simulate(process, 3, times=[0.1, 0.3], seed=8)
    np.testing.assert_array_equal(run.spectra, two.spectra)
    np.testing.assert_array_equal(run.spectra[:3], some.spectra)


@pytest.mark.parametrize("options", [{"dt": 1e3}, {"dt": 1e3, "scheme": "pairs"}, {}])
def test_very_long_steps_and_times_end_in_the_stationary_state(options):
    process = ds.Dyson(n=3, beta=1.5, **options)
    with pytest.warns(RuntimeWarning) if options else np.errstate():
        run = ds.simulate(process, 4000, times=[1e3, 3e3], seed=9)
    value, error = ds.mean_and_error((run.eigenvalues[:, 1] ** 2).sum(-1))
    assert abs(value - (3 + 1.5 * 3)) < 4 * error


@pytest.mark.parametrize("degrees", [0.2, 0.5, 1.5, 2.5, 3.7])
def test_quantiles_of_chi_squared_numbers(degrees):
    lanes = plain.lanes("float64", 50_000)
    few = quantile.build(lanes)
    words = np.random.default_rng(1).integers(0, 2**32, 50_000, dtype=np.uint32)
    drawn = few.chi_squared(words, few.held(quantile.constants(degrees)))
    exact = chi2.isf((words >> 1) * 2.0**-31 + 2.0**-32, degrees)
    usual = exact > 1e-12
    assert np.quantile(abs(drawn / exact - 1)[usual], 0.999) < 1e-3
    assert abs(drawn.mean() / exact.mean() - 1) < 2e-5
    assert abs(drawn.var() / exact.var() - 1) < 2e-5
