"""The Coulomb gas: exact moments, closed forms for two levels, quadrature, and its three samplers against each other.

Statistical tests have fixed seeds and allow 4.5 standard errors: one of the 100 numbers would fail by chance in 1500
seeds. Controls that must fail: beta off by 5%, a width off by 2%, labels taken for ranks.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from gas_moments import moments
from scipy import stats

import dysonsim as ds
from dysonsim import CoulombGas, laws
from dysonsim.kernels.gas import wells as gas_wells
from dysonsim.processes.gas import pilot as gas_pilot

SIGMAS, REPLICAS = 4.5, 4096
CHAINS = ("hmc", "metropolis")


def quartic(x):
    return x**4 / 4


def double_well(x):
    return (x * x - 25) ** 2 / 5


def two_wells(x, i):
    return (x + 2 * i) ** 2 / (2 * (1 + i) ** 2)


def last(gas, replicas=REPLICAS, seed=1, **options):
    return ds.simulate(gas, replicas, seed=seed, **options).eigenvalues[:, -1]


def deviation(values, exact):
    """Error of a mean in standard errors."""
    return float((values.mean() - exact) / (values.std() / math.sqrt(len(values))))


def deviations(levels, exact):
    values = [(levels**2).sum(1), (levels**4).sum(1), levels.sum(1) ** 2]
    return [deviation(v, exact[part]) for v, part in zip(values, [(2,), (4,), (1, 1)], strict=True)]


def same(first, second):
    """Two-sample p-values of the lowest, the highest level, their sum and the sum of their squares."""
    pairs = [(f(first), f(second)) for f in (np.min, np.max, np.sum, lambda x, axis: (x**2).sum(axis))
             for f in [lambda x, f=f: f(x, axis=1)]]  # fmt: skip
    return [stats.ks_2samp(a, b).pvalue for a, b in pairs]


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 4.0, 10.0])
@pytest.mark.parametrize("method", ["exact", "hmc", "metropolis"])
def test_moments_of_the_hermite_gas(method, beta):
    for n in (2, 10):
        levels = last(CoulombGas.hermite(n, beta, width=0.3, center=-2.0, method=method)) + 2.0
        assert np.abs(deviations(levels / 0.3, moments(n, beta, "hermite"))).max() < SIGMAS


@pytest.mark.parametrize("beta", [0.5, 2.0])
@pytest.mark.parametrize("method", ["exact", "hmc"])
def test_moments_of_the_laguerre_and_jacobi_gas(method, beta):
    for n in (3, 10):
        levels = last(CoulombGas.laguerre(n, n + 0.7, beta, width=0.5, method=method)) / 0.25
        assert np.abs(deviations(levels, moments(n, beta, "laguerre", 0.85 * beta - 1))).max() < SIGMAS
        levels = last(CoulombGas.jacobi(n, 0.3, -0.4, beta, method=method))
        assert np.abs(deviations(levels, moments(n, beta, "jacobi", 0.3, -0.4))).max() < SIGMAS


@pytest.mark.parametrize("method", ["exact", "hmc", "metropolis"])
def test_wrong_beta_and_wrong_width_are_caught(method):
    exact = moments(10, 1.0, "hermite")
    for wrong in (CoulombGas.hermite(10, 1.05, method=method), CoulombGas.hermite(10, 1.0, 1.02, method=method)):
        assert np.abs(deviations(last(wrong), exact)).max() > 2 * SIGMAS


@pytest.mark.parametrize("method", CHAINS)
def test_two_species_have_the_labeled_law(method):
    """One level picked from each of 20000 draws, and the spacing: p-values above 1e-4."""
    for widths in ((1.0, 3.0), (0.1, 2.0)):
        law = laws.TwoSpecies(0.5, *widths)
        run = ds.simulate(CoulombGas(beta=1.0, centers=0.5, widths=widths, method=method), 20_000, seed=1)
        levels = run.eigenvalues[:, -1]
        picked = levels[np.arange(len(levels)), np.random.default_rng(0).integers(2, size=len(levels))]
        assert stats.kstest(picked, law.cdf).pvalue > 1e-4
        assert stats.kstest(np.diff(levels)[:, 0], law.spacing().cdf).pvalue > 1e-4
        assert abs(deviation(((levels - 0.5) ** 2).mean(1), law.var())) < SIGMAS
    if method == "hmc":  # control: label = rank, one half of the labeled space, has another law
        narrow_first = run.state[:, 8] > 1  # behind x, q, gradient and centers: 1/width^2 of the lower level
        assert 0.4 < narrow_first.mean() < 0.6
        assert stats.kstest(picked[narrow_first], law.cdf).pvalue < 1e-6


@pytest.mark.parametrize("method", CHAINS)
def test_quartic_potential_against_quadrature(method):
    x = np.linspace(-6, 6, 1201)
    weight = np.exp(-quartic(x))
    one = last(CoulombGas(potential=quartic, n=1, method=method))
    joint = weight[:, None] * weight * (x[:, None] - x) ** 2
    two = last(CoulombGas(potential=quartic, n=2, beta=2.0, method=method))
    for power in (2, 4):
        exact = (weight * x**power).sum() / weight.sum()
        assert abs(deviation(one[:, 0] ** power, exact)) < SIGMAS
        exact = (joint * (x[:, None] ** power + x**power)).sum() / joint.sum()
        assert abs(deviation((two**power).sum(1), exact)) < SIGMAS
    exact = (joint * np.abs(x[:, None] - x)).sum() / joint.sum()
    assert abs(deviation(np.diff(two)[:, 0], exact)) < SIGMAS
    assert abs(deviation(np.diff(two * 1.05)[:, 0], exact)) > SIGMAS


def test_samplers_agree_with_each_other():
    """Unequal wells, and three levels of a function of the label which says the same. p-values above 1e-4."""
    centers, widths = [0.0, -2.0, -4.0], [1.0, 2.0, 3.0]
    runs = [last(CoulombGas(beta=2.0, centers=centers, widths=widths, method=method)) for method in CHAINS]
    runs.append(last(CoulombGas(beta=2.0, potential=two_wells, n=3), seed=2))
    for i in range(3):
        assert min(same(runs[i], runs[i - 1])) > 1e-4
    wrong = last(CoulombGas(beta=2.0, centers=centers, widths=[3.0, 2.0, 1.0]))
    assert min(same(runs[0], wrong)) < 1e-6


def test_hard_walls_hold_and_have_no_other_effect():
    """Levels between walls without a potential are the Jacobi gas a = b = 0; a half-line of a normal law."""
    box = CoulombGas(beta=2.0, potential=lambda x: 0.0, n=4, walls=(-1.0, 3.0), method="metropolis")
    levels = last(box)
    assert levels.min() > -1
    assert levels.max() < 3
    assert np.abs(deviations((levels + 1) / 4, moments(4, 2.0, "jacobi", 0.0, 0.0))).max() < SIGMAS
    below = last(CoulombGas(n=1, centers=0.0, widths=2.0, walls=(None, 1.0)))[:, 0]
    assert stats.kstest(below, stats.truncnorm(-np.inf, 0.5, scale=2.0).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("gas", "other", "law"),
    [
        (CoulombGas.hermite(4, 1.0), 1.1, lambda x, b: laws.gas_log_density(x, b)),
        (CoulombGas.laguerre(4, 6, 1.0), 1.1, lambda x, b: laws.gas_log_density(x, b, "laguerre", m=6)),
        (CoulombGas.jacobi(4, 0.5, 1.0, 1.0), 1.1, lambda x, b: laws.gas_log_density(x, b, "jacobi", a=0.5, b=1.0)),
    ],
)
def test_joint_density_and_its_normalization(gas, other, law):
    """E_P[Q/P] = 1 for the densities Q at beta = 1.1 and P at 1: shape and normalization of both at once."""
    levels = last(gas, 20_000)
    ratio = np.exp(law(levels, other) - law(levels, 1.0))
    assert abs(deviation(ratio, 1.0)) < SIGMAS
    assert abs(deviation(np.exp(law(levels * 1.02, other) - law(levels, 1.0)), 1.0)) > SIGMAS


def test_a_model_gives_its_wells():
    """Mean spacings are those of single wells but for the repulsion by the others: 1 to 5.3 (3)% smaller here."""
    sgd = ds.SGD(ds.GaussianRBM.scalar_field(10, mass=2.0, mu=3.0), 0.02, 16)
    gas = CoulombGas(sgd)
    np.testing.assert_array_equal(gas.centers, sgd.model.fixed_point())
    np.testing.assert_array_equal(gas.widths, sgd.model.stationary_widths(0.02, 16))
    run = ds.simulate(gas, 2048, seed=1)
    for group, width in zip(sgd.model.degenerate_groups(), sgd.model.mean_spacings(0.02, 16), strict=True):
        gaps = run.spacings(group)[:, 0]
        assert abs(deviation(gaps, 0.97 * width)) < SIGMAS + 0.025 * width / gaps.std() * math.sqrt(len(gaps))
    assert run.process.sampler == "hmc"
    assert "CoulombGas(SGD(" in repr(gas)


def test_a_replica_does_not_depend_on_what_runs_beside_it():
    for gas in (CoulombGas(centers=[0, 1, 3], widths=[1, 2, 1], beta=2.0), CoulombGas.hermite(5, 0.7)):
        steps = 30 if gas.sampler == "hmc" else 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # too few steps, on purpose
            whole = ds.simulate(gas, 37, steps, seed=5, record_every=1)
            part = ds.simulate(gas, 11, steps, seed=5, record_every=1, threads=1)
            begun = ds.simulate(gas, 37, 1, seed=5)
            resumed = ds.simulate(gas, 37, steps, seed=5, record_every=1, resume=begun)
        np.testing.assert_array_equal(part.eigenvalues, whole.eigenvalues[:11])
        np.testing.assert_array_equal(resumed.eigenvalues, whole.eigenvalues)
        assert whole.eigenvalues.shape == (37, steps, gas.n)
        assert (np.diff(whole.eigenvalues, axis=-1) >= 0).all()


def test_runs_carry_diagnostics():
    run = ds.simulate(CoulombGas.hermite(6, 2.0, method="hmc"), 256, seed=1)
    found = run.diagnostics
    assert found.method == "hmc"
    assert 0.6 < found.acceptance < 0.99
    assert set(found.tau) == {"sum x", "sum x^2", "lowest", "highest"}
    assert all(1 <= tau < 5 for tau in found.tau.values())
    assert all(0.99 < value < 1.06 for value in found.r_hat.values())
    assert all(worth == 256 for worth in found.ess.values())  # one record a replica
    assert "R-hat" in str(found)
    steps = 40 * found.warm_up
    long = ds.simulate(CoulombGas.hermite(6, 2.0, method="hmc"), 16, steps, seed=1, record_every=1)
    after = long.eigenvalues[:, found.warm_up :]
    measured = ds.diagnostics.autocorrelation_time(after.sum(-1))
    assert found.tau["sum x"] == pytest.approx(measured, rel=0.4)
    assert ds.diagnostics.r_hat(after.sum(-1)) < 1.02
    exact = ds.simulate(CoulombGas.hermite(6, 2.0), 16, 4, seed=1, record_every=1)
    assert exact.diagnostics.ess["sum x"] == 64
    assert abs(np.corrcoef(exact.eigenvalues[:, 0, 0], exact.eigenvalues[:, 1, 0])[0, 1]) < 0.9


def test_chains_that_do_not_mix_are_refused_and_with_steps_told():
    gas = CoulombGas(potential=double_well, n=2, method="metropolis")
    with pytest.raises(ds.MixingError, match=r"have not mixed: R-hat of .* give steps= to run regardless"):
        ds.simulate(gas, 64)
    with pytest.warns(RuntimeWarning, match="have not mixed"):
        run = ds.simulate(gas, 64, 500)
    assert max(run.diagnostics.r_hat.values()) > 1.5
    with pytest.warns(RuntimeWarning, match="steps = 5: fewer than"):
        ds.simulate(CoulombGas.hermite(2, 1.0, method="hmc"), 8, 5)


@pytest.mark.parametrize("method", CHAINS)
def test_a_wall_that_draws_levels_is_right_or_refused(method):
    """n levels with x^(c - 1) at a wall: memory grows as 1/c^2. Where a chain answers it is within 4.5 errors.

    The control: what chains of 40 memories by sums alone gave for the first gas, +9.5 and +33%.
    """
    singular = CoulombGas.laguerre(2, 1.05, 0.1, 1.7, method=method)
    for gas in (singular, CoulombGas.jacobi(2, -0.99, -0.9, 1.0, method=method)):
        with pytest.raises(ds.MixingError, match=r"have not mixed: R-hat of .* method = 'exact' needs no chains"):
            ds.simulate(gas, 64)
    with pytest.warns(RuntimeWarning, match="have not mixed: R-hat of .* over 64 pilot chains"):
        wrong = ds.simulate(singular, REPLICAS, 300, seed=1)
    if method == "metropolis":
        assert abs(deviation(wrong.eigenvalues[:, -1].sum(1), 2 * 1.05 * 0.1 * 1.7**2)) > SIGMAS
    for n, m, beta in ((3, 2.4, 2.0), (2, 1.5, 1.0)):
        levels = last(CoulombGas.laguerre(n, m, beta, method=method))
        assert abs(deviation(levels.sum(1), n * m * beta)) < SIGMAS


UNITS = [
    lambda unit, center: CoulombGas.hermite(3, 2.0, unit, center),
    lambda unit, center: CoulombGas.hermite(3, 2.0, unit, center, method="hmc"),
    lambda unit, center: CoulombGas.hermite(3, 2.0, unit, center, method="metropolis"),
    lambda unit, center: CoulombGas(n=1, centers=center, widths=unit, walls=(None, center)),
    lambda unit, center: CoulombGas(centers=[center, center + unit], widths=[unit, 3 * unit]),
    lambda unit, center: CoulombGas.laguerre(3, 3.5, 2.0, math.sqrt(unit)),
    lambda unit, center: CoulombGas.laguerre(3, 3.5, 2.0, math.sqrt(unit), method="hmc"),
]  # fmt: skip


IN_FLOAT32 = [pytest.param(gas, "float32", marks=[] if i == 1 else [pytest.mark.slow]) for i, gas in enumerate(UNITS)]


@pytest.mark.parametrize(("gas", "dtype"), [*((gas, "float64") for gas in UNITS), *IN_FLOAT32])
def test_units_do_not_matter(gas, dtype):
    """Powers of two, 1e-120 to 1e120, bit for bit; a far center to the rounding of the levels that are recorded."""
    plain = ds.simulate(gas(1.0, 0.0), 50, seed=3, dtype=dtype).eigenvalues[:, -1]
    for unit in (2.0**-400, 2.0**400):
        levels = ds.simulate(gas(unit, 0.0), 50, seed=3, dtype=dtype).eigenvalues[:, -1]
        np.testing.assert_array_equal(levels / unit, plain)
    if "laguerre" not in repr(gas(1.0, 0.0)):
        levels = ds.simulate(gas(1.0, 2.0**40), 50, seed=3, dtype=dtype).eigenvalues[:, -1]
        np.testing.assert_allclose(levels - 2.0**40, plain, rtol=0, atol=2e-3 if dtype == "float64" else 0.02)
    assert plain.std() > 0.1


def test_a_start_depends_on_neither_its_neighbors_nor_the_threads_of_blas():
    """The control: one right-hand side in LAPACK is not one of several."""
    from threadpoolctl import threadpool_limits

    lapack = 0
    for n in (3, 10, 33):
        for gas in (
            CoulombGas.hermite(n, 2.0, method="hmc"),
            CoulombGas.laguerre(n, n + 1.5, 1.0, method="hmc"),
            CoulombGas.jacobi(n, 0.3, 0.5, 1.0, method="hmc"),
            CoulombGas(centers=np.arange(n), widths=np.linspace(1, 2, n)),
        ):
            whole = gas.start(32, 7)
            right = np.random.default_rng(1).normal(size=(32, n)).T
            many = np.linalg.solve(gas.mode.factor, right)
            for replicas in (1, 2, 7):
                np.testing.assert_array_equal(gas.start(replicas, 7), whole[:replicas])
                lapack += not np.array_equal(np.linalg.solve(gas.mode.factor, right[:, :replicas]), many[:, :replicas])
    assert lapack > 0
    modes = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            modes.append(CoulombGas(n=160, beta=2.0, method="hmc").mode)
    np.testing.assert_array_equal(modes[0].factor, modes[1].factor)
    np.testing.assert_array_equal(modes[0].y0, modes[1].y0)


def test_a_classical_ensemble_by_its_name():
    gas = CoulombGas(n=3, beta=2.0, ensemble="laguerre", parameters=[3.5, 0.5])
    assert repr(gas) == "CoulombGas.laguerre(3, 3.5, 2, 0.5)"
    same_gas = CoulombGas.laguerre(3, 3.5, 2.0, 0.5)
    np.testing.assert_array_equal(last(gas, 10), last(same_gas, 10))


def log_without_wall(x):
    return x - math.log(x) if x > 0 else math.nan


BAD = [
    (dict(n=3, beta=0.0), ValueError, r"beta = 0: must be .* > 0"),
    (dict(n=3, beta="1"), TypeError, "beta = '1'"),
    (dict(), ValueError, "n is missing"),
    (dict(n=0), ValueError, "n = 0"),
    (dict(centers=[0, 1], widths=[1, 0.0]), ValueError, r"widths\[1\] = 0: must be"),
    (dict(centers=[0, 1], widths=[1, 1, 1]), ValueError, "widths"),
    (dict(centers=[0, np.inf]), ValueError, "centers"),
    (dict(n=3, potential=lambda x: -x * x), ValueError, "does not confine level 0"),
    (dict(n=3, potential=lambda x: x), ValueError, "does not confine level 0: toward x = -1e"),
    (dict(n=3, beta=2.0, potential=lambda x: 2.5 * math.log(1 + x * x)), ValueError, r"1 \+ beta \(n - 1\) = 5, or"),
    (dict(n=3, potential=log_without_wall), ValueError, r"gives nan; where levels must not go .* walls=\(a, b\)"),
    (dict(n=3, potential=lambda x, i: x * x if i < 2 else math.nan), ValueError, "level 2 at x = .* gives nan"),
    (dict(n=3, potential=3.0), TypeError, "potential = 3.0: must be a function"),
    (dict(n=3, potential=quartic, widths=1.0), ValueError, "widths and potential exclude each other"),
    (dict(n=3, potential=quartic, method="exact"), ValueError, "no independent draws are known for a potential"),
    (dict(centers=[0, 1], method="exact"), ValueError, "levels of different wells"),
    (dict(n=3, method="gibbs"), ValueError, "method = 'gibbs': must be one of"),
    (dict(n=3, walls=(1, 0)), ValueError, "the lower wall must be below"),
    (dict(n=3, walls=1.0), TypeError, "walls = 1.0: must be a pair"),
    (dict(sgd=3), TypeError, "sgd = 3: must be a process of a network"),
    (dict(n=3, ensemble="laguerre"), ValueError, r"parameters = \(\): must be \(m, width\) .* CoulombGas\.laguerre"),
    (dict(n=3, ensemble="jacobi"), ValueError, r"parameters = \(\): must be \(a, b\) .* CoulombGas\.jacobi"),
    (dict(n=3, ensemble="laguerre", parameters=(2, 1)), ValueError, "m = 2: must be"),
    (dict(n=3, ensemble="laguerre", parameters=(4, 1e200)), ValueError, r"width = 1e\+200: must be between"),
    (dict(n=3, ensemble="jacobi", parameters=(1, "2")), TypeError, "b = '2'"),
    (dict(n=3, ensemble="jacobi", parameters=(1, 2), walls=(0, 2)), ValueError, r"walls = \(0, 2\): must be left out"),
    (dict(n=3, ensemble="jacobi", parameters=(1, 2), widths=2.0), ValueError, "widths: must be left out"),
    (dict(n=3, parameters=(1, 2)), ValueError, r"parameters = \(1, 2\): must be left out for wells"),
    (dict(widths=[1e-50, 1e50]), ValueError, "no more than a factor 1e60 apart"),
]


@pytest.mark.parametrize(("fields", "error", "match"), BAD)
def test_bad_input(fields, error, match):
    with pytest.raises(error, match=match):
        CoulombGas(**fields)


def test_bad_input_of_the_classical_ensembles_and_of_models():
    with pytest.raises(ValueError, match=r"m = 2: must be .* > 2"):
        CoulombGas.laguerre(3, 2, 1.0)
    with pytest.raises(ValueError, match="a = -1: must be"):
        CoulombGas.jacobi(3, -1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="width = 0"):
        CoulombGas.hermite(3, 1.0, 0.0)
    sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.1, 16)
    with pytest.raises(ValueError, match=r"centers = 1.0: must be left out where sgd is given"):
        CoulombGas(sgd, centers=1.0)
    with pytest.raises(ValueError, match="beta = 2: must be left out"):
        CoulombGas(sgd, beta=2.0)
    with pytest.raises(ValueError, match="does not fluctuate"):
        CoulombGas(ds.SGD(ds.TeacherStudent(2 * np.eye(2)), 0.1, 16))


def hole(x):
    return math.nan if 2.0 < x < 2.2 else x * x / 2


def test_a_function_that_returns_nan_on_the_way_is_named():
    """The survey before the run does not see so small a hole; the chains do."""
    with pytest.raises(ValueError, match=r"potential gives nan for level \d at x = 2\.[01]"):
        ds.simulate(CoulombGas(potential=hole, n=4, method="metropolis"), 8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("walls", ["lower", "upper", "both"])
def test_the_slope_of_a_logarithmic_wall_near_it(walls, dtype):
    """And one that has no digits there, at 7, is one-sided, not 0/0; a quarter of the slope off must not pass."""
    from dysonsim.backend import reference as plain

    lanes = plain.lanes(dtype, 1)
    constants = np.zeros(gas_wells.CONSTANTS, dtype)
    constants[gas_wells.WIDTH], constants[gas_wells.FAR] = 1e-4, 1e3
    failed = np.array([-1.0, 0.0], dtype)

    def slope(function, x, distance):
        found = gas_wells.build(lanes, "function", walls, function).slope
        number = np.dtype(dtype).type
        distances = [number(distance)] * 2 if walls != "both" else [number(distance), number(1)]
        return float(found(np.array([x], dtype), *distances, 0, 1, None, constants, failed)[0])

    for distance in (1e-12, 1e-3):
        x = -distance if walls == "upper" else distance
        assert slope(lambda x: 0.9 * math.log(abs(x)), x, distance) * x == pytest.approx(0.9, rel=2e-3)
    assert np.isfinite(slope(lambda x: 0.9 * math.log(abs(x - 7) + 1e-300), 7.0, 1e-12))


def test_a_pilot_that_cannot_mix_ends_early():
    """After an eighth of the longest; one that nearly does not mix is followed on."""
    gas = ds.CoulombGas.laguerre(2, 1.001, 2.0, method="hmc")
    with pytest.raises(ds.MixingError):
        ds.simulate(gas, 4)
    assert gas.tuning.length <= gas_pilot.LONGEST / 8
    assert ds.CoulombGas.laguerre(2, 1.1, 2.0, method="hmc").tuning.mixed
