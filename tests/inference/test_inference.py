"""Reading trajectories backwards: what was put in comes out, with errors that are right, and nothing else.

Known truth: matrix Ornstein-Uhlenbeck processes, exact at any interval, with rate 1, center 0 and g = 1. Tolerances of
4 standard errors: a right estimator fails one comparison in 16 000; there are about 300 here, a false alarm in 50 runs
of other seeds. Seeds are fixed.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.inference.drift import center_of_mass as estimate_center
from dysonsim.inference.estimate import estimate_dynamics
from dysonsim.inference.gaps import collisions, transitions


def hermitian(rng, beta, shape, n):
    """Gaussian matrices with diagonal variance 1: GOE, GUE, and GSE as complex matrices of twice the size."""

    def gauss():
        a = rng.normal(size=(*shape, n, n))
        return a if beta == 1 else a + 1j * rng.normal(size=a.shape)

    a = gauss()
    if beta == 4:
        c = gauss()
        a = np.concatenate([np.concatenate([a, c], -1), np.concatenate([-c.conj(), a.conj()], -1)], -2)
    return (a + a.conj().swapaxes(-1, -2)) / 2


def ensemble(rng, beta, n, replicas, records, interval, start=None):
    """Levels (replicas, records, n) of a matrix Ornstein-Uhlenbeck process; beta = 0: independent levels, sorted."""
    decay = math.exp(-interval)
    kick = math.sqrt(1 - decay**2)
    shape = (replicas,)
    draw = (lambda: rng.normal(size=(replicas, n))) if beta == 0 else (lambda: hermitian(rng, beta, shape, n))
    state = draw() if start is None else start
    levels = np.empty((replicas, records, n))
    for t in range(records):
        levels[:, t] = np.sort(state, axis=1) if beta == 0 else np.linalg.eigvalsh(state)[:, :: 1 + (beta == 4)]
        state = decay * state + kick * draw()
    return levels


def estimate(levels, interval, **options):
    return estimate_dynamics(levels, interval * np.arange(levels.shape[1]), **options)


def pulls(found, beta):
    """Deviations from rate 1, center 0, g = 1, K = -x and beta, in standard errors."""
    scalars = {"rate": 1.0, "center": 0.0, "noise": 1.0, "pair_noise": 1.0, "beta": beta, "beta_density": beta}
    pulls = {name: getattr(found, name).deviation(value) for name, value in scalars.items()}
    pulls |= {f"K{k}": v for k, v in enumerate((found.drift.value + found.drift.x) / found.drift.error)}
    pulls |= {f"g{k}": v for k, v in enumerate((found.noise_curve.value - 1) / found.noise_curve.error)}
    pulls |= {f"repulsion{k}": v for k, v in enumerate((found.repulsion.value - beta) / found.repulsion.error)}
    return pulls


@pytest.mark.parametrize(
    ("beta", "n", "interval"), [(1, 2, 0.03), (2, 2, 0.03), (4, 2, 0.03), (1, 5, 0.01), (2, 5, 0.01), (1, 10, 0.005),
                                (2, 10, 0.005), (4, 10, 0.003)]
)  # fmt: skip
def test_what_was_put_in_comes_out(beta, n, interval):
    """And the two other indices are excluded: by the motion of the gaps always, by their density for two levels."""
    levels = ensemble(np.random.default_rng(10 * n + beta), beta, n, 200 if n > 2 else 400, 60, interval)
    found = estimate(levels, interval)
    off = {name: z for name, z in pulls(found, beta).items() if abs(z) > 4}
    assert not off, f"{off}\n{found}"
    for other in {1, 2, 4} - {beta}:
        assert abs(found.beta.deviation(other)) > 4, found
    assert found.beta.error < 0.1 * (1 + beta)


def test_levels_that_do_not_repel_have_beta_zero():
    found = estimate(ensemble(np.random.default_rng(3), 0, 3, 200, 60, 0.01), 0.01)
    assert abs(found.beta.deviation(0)) < 4
    assert abs(found.beta_density.deviation(0)) < 4
    assert found.beta.deviation(1) < -10
    assert found.beta_density.deviation(1) < -10
    assert (np.abs((found.drift.value + found.drift.x) / found.drift.error) < 4).all()


def test_errors_are_calibrated():
    """64 ensembles: every mean pull 0 +- 0.125 and its standard deviation 1 +- 0.09, with 4 errors as tolerance.

    The control: errors that count gaps instead of networks are too small, which the same measure must show.
    """
    rng = np.random.default_rng(4)
    all_pulls, naive = [], []
    for _ in range(64):
        levels = ensemble(rng, 1, 2, 50, 50, 0.04)
        found = estimate(levels, 0.04)
        all_pulls.append(list(pulls(found, 1).values()))
        low, high = found.window
        count = ((low <= np.diff(levels)) & (np.diff(levels) < high)).sum()
        naive.append((found.beta_density.value - 1) * math.sqrt(count) / 2)
    mean, spread = np.mean(all_pulls, axis=0), np.std(all_pulls, axis=0)
    names = list(pulls(found, 1))
    assert (np.abs(mean) < 0.5).all(), dict(zip(names, mean, strict=True))
    assert (np.abs(spread - 1) < 0.36).all(), dict(zip(names, spread, strict=True))
    assert np.std(naive) > 1.5


def test_long_intervals_are_no_bias_for_two_levels():
    """Autocorrelation 0.67; the control is the quadratic variation without correction, 18% off in g^2."""
    interval = 0.4
    levels = ensemble(np.random.default_rng(5), 2, 2, 1000, 40, interval)
    found = estimate(levels, interval)
    assert all(abs(pulls(found, 2)[name]) < 4 for name in ("rate", "center", "noise", "pair_noise", "beta"))
    center = levels.mean(axis=2)
    plain, error = ds.mean_and_error((np.diff(center, axis=1) ** 2).mean(axis=1) / interval)
    assert plain + 10 * error < 1


def test_every_replica_from_one_point_far_away():
    """Neither stationary nor ergodic; the first record has coinciding levels."""
    start = np.broadcast_to(3 * np.eye(3), (300, 3, 3))
    found = estimate(ensemble(np.random.default_rng(6), 1, 3, 300, 100, 0.02, start), 0.02)
    off = {name: z for name, z in pulls(found, 1).items() if abs(z) > 4}
    assert not off, off


@pytest.mark.parametrize("n", [1, 3])
def test_a_curved_drift_comes_out_as_a_curve(n):
    """K(x) = -x^3, from a matrix process with fine steps; the control: the straight line of the rate is excluded."""
    rng, replicas, step = np.random.default_rng(7), 300, 0.0025
    x, levels = np.zeros((replicas, n, n)), []
    for k in range(1400):
        x = x - step * x @ x @ x + math.sqrt(2 * step) * hermitian(rng, 1, (replicas,), n)
        if k >= 400 and k % 8 == 0:
            levels.append(np.linalg.eigvalsh(x))
    found = estimate(np.swapaxes(levels, 0, 1), 8 * step)
    curve = found.drift
    assert (np.abs((curve.value + curve.x**3) / curve.error) < 4).all()
    assert (np.abs((found.noise_curve.value - 1) / found.noise_curve.error) < 4).all()
    straight = curve.value + found.rate.value * (curve.x - found.center.value)
    assert straight @ np.linalg.solve(curve.covariance, straight) > 60  # chi^2 of 8 points
    if n == 3:
        assert abs(found.beta.deviation(1)) < 4
    else:
        assert (found.beta, found.beta_density, found.repulsion, found.moves) == (None, None, None, 0)


def test_a_known_beta_sharpens_the_drift():
    levels = ensemble(np.random.default_rng(8), 4, 5, 100, 40, 0.005)
    free, known = estimate(levels, 0.005), estimate(levels, 0.005, beta=4)
    assert (known.drift.error < free.drift.error)[[0, -1]].all()
    wrong = estimate(levels, 0.005, beta=1).drift
    assert (np.abs((known.drift.value + known.drift.x) / known.drift.error) < 4).all()
    assert np.abs((wrong.value + wrong.x) / wrong.error).max() > 10


@pytest.fixture(scope="module")
def teacher_student():
    """Five learning rates and batch sizes, recorded every step in the stationary state."""
    model, results = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), []
    for seed, (rate, batch) in enumerate([(0.02, 16), (0.05, 16), (0.1, 16), (0.05, 4), (0.05, 64)]):
        first = int(6 / rate)
        sgd = ds.SGD(model, rate, batch)
        run = ds.simulate(sgd, 400, first + 100, seed, record_steps=range(first, first + 101))
        results.append((rate, batch, estimate_dynamics(run, observable="singular_values")))
    return {"found": results, "run": run}


def test_sgd_has_noise_alpha_over_root_batch_and_beta_one(teacher_student):
    """g = c alpha^p |B|^q with p, q to 0.003; noise of the data, O(alpha/|B|), moves g by 1% and p, q by 0.01."""
    results = teacher_student["found"]
    design = np.array([[1, math.log(rate), math.log(batch)] for rate, batch, _ in results])
    noise = [found.per_step()[1] for *_, found in results]
    weight = np.array([g.value / g.error for g in noise])
    inverse = np.linalg.inv(design.T @ (design * weight[:, None] ** 2))
    powers = inverse @ (design.T @ (weight**2 * np.log([g.value for g in noise])))
    error = np.sqrt(np.diag(inverse))
    assert error[1] < 0.004
    assert abs(powers[1] - 1) < 4 * error[1] + 0.01
    assert abs(powers[2] + 0.5) < 4 * error[2] + 0.01
    assert abs(powers[0] - math.log(0.1)) < 4 * error[0] + 0.02
    for rate, _, found in results:
        assert abs(found.per_step()[0].deviation(rate)) < 4
        assert abs(found.pair_noise.deviation(found.noise)) < 4
        assert abs(found.beta.deviation(1)) < 4
        assert abs(found.beta_density.deviation(1)) < 4
        assert found.beta.deviation(2) < -10
        assert found.beta.deviation(0) > 10


def test_noise_with_memory_grows_with_the_lag(teacher_student):
    """Persistent chains: g^2 at a lag of one step lacks the factor c = (1 + r)/(1 - r) of `GaussianRBM.noise`."""
    model = ds.GaussianRBM(np.diag([5.0, 5.0]), mu=3.0, gibbs_steps=1)
    run = ds.simulate(ds.SGD(model, 0.05, 16), 400, 2200, 2, record_steps=range(2000, 2201))
    short, long = (estimate_dynamics(run, lag=lag) for lag in (1, 15))
    memory = (4 / 9) ** 2
    ratio = short.noise.value / long.noise.value
    assert ratio == pytest.approx(math.sqrt((1 - memory) / (1 + memory)), rel=0.04)
    assert long.noise.value == pytest.approx(model.noise(model.fixed_point(), 0.05, 16)[0, 0], rel=0.04)
    assert abs(long.beta.deviation(1)) < 4
    assert abs(short.beta.deviation(1)) < 4
    # the control: noise without memory does not know the lag
    run, found = teacher_student["run"], teacher_student["found"][-1][-1]
    long = estimate_dynamics(run, observable="singular_values", lag=5)
    assert abs(long.noise.deviation(found.noise)) < 4
    assert found.noise.value / long.noise.value == pytest.approx(1, abs=0.01)


def test_dyson_brownian_motion_gives_back_its_parameters():
    process = ds.Dyson(n=3, beta=2.0, rate=0.7, center=1.0, noise=0.5, scheme="pairs", dt=0.005)
    run = ds.simulate(process, replicas=300, times=6 + 0.02 * np.arange(80), seed=3)
    found = estimate_dynamics(run)
    assert abs(found.rate.deviation(0.7)) < 4
    assert abs(found.center.deviation(1.0)) < 4
    assert abs(found.noise.deviation(0.5)) < 4
    assert abs(found.beta.deviation(2)) < 4
    assert found.beta.deviation(1) > 4
    assert found.beta.deviation(4) < -4


def test_prints_stores_and_plots():
    from matplotlib.figure import Figure

    levels = ensemble(np.random.default_rng(9), 1, 2, 100, 40, 0.02)
    found = estimate(levels, 0.02)
    text = str(found)
    for part in (
        "100 replicas",
        "40 records",
        "rate",
        "noise g",
        "beta, motion",
        "beta, density",
        "K(x) at",
        "g(x) at",
    ):
        assert part in text
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["beta"]["value"] == found.beta.value
    assert stored["drift"]["error"] == list(found.drift.error)
    for what in ("drift", "noise", "repulsion"):
        ax = Figure().subplots()
        assert found.plot(ax, what) is ax
        assert ax.get_legend() is not None
    single = estimate(levels, 0.02, group=[1])
    assert "level 1" in str(single)
    with pytest.raises(ValueError, match="what = 'repulsion'"):
        single.plot(what="repulsion")
    with pytest.raises(ValueError, match=r"what = 'beta'.*'drift'"):
        found.plot(what="beta")


def test_coarse_records_and_lonely_levels_are_told():
    rng = np.random.default_rng(11)
    with pytest.warns(RuntimeWarning, match=r"autocorrelation of only 0\.5.*record more often"):
        estimate(ensemble(rng, 1, 2, 100, 40, 0.6), 0.6)
    with pytest.warns(RuntimeWarning, match=r"a gap moves by 0\.\d+ mean gaps"):
        estimate(ensemble(rng, 1, 5, 100, 40, 0.1), 0.1)
    with pytest.warns(RuntimeWarning, match=r"the drift bends, K' times the interval varies by 0\.\d+"):
        estimate(double_well(rng, 100, 30, 0.1, steps=20), 0.1)
    apart = np.concatenate([far + ensemble(rng, 0, 1, 100, 40, 0.05) for far in (0, 20)], axis=2)
    with pytest.raises(ValueError, match=r"levels 0 and 1 lie in different wells, their gap is \d"):
        estimate(apart, 0.05)
    with pytest.warns(RuntimeWarning, match="beta is not determined: only 0 gaps"):
        found = estimate(ensemble(rng, 1, 2, 100, 40, 0.05), 0.05, window=1e-5)
    assert found.beta is None
    assert "too few small gaps" in str(found)
    assert found.noise.error > 0


LEVELS = ensemble(np.random.default_rng(12), 1, 2, 20, 12, 0.1)
UNSORTED, HOLED = LEVELS[..., ::-1], LEVELS.copy()
HOLED[3, 4, 1] = math.nan


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": LEVELS[0]}, ValueError, r"data has shape \(12, 2\).*\(replicas, records, n\)"),
        ({"data": LEVELS[:5]}, ValueError, r"data has shape \(5, 12, 2\).*at least 8"),
        ({"data": "levels"}, TypeError, "data is str"),
        ({"data": LEVELS + 1j}, TypeError, "complex"),
        ({"data": UNSORTED}, ValueError, r"data\[0, 0\]: levels must be ascending, and level 1 is below level 0"),
        ({"data": HOLED}, ValueError, r"data\[3, 4, 1\] = nan"),
        ({"data": np.zeros_like(LEVELS)}, ValueError, "independent"),
        ({"times": None}, ValueError, r"times = None.*\(records,\)"),
        ({"times": [0.0, 1.0]}, ValueError, r"times has shape \(2,\): must be \(12,\)"),
        ({"times": np.arange(12) ** 2}, ValueError, "times differ by 1 to 21.*equally spaced"),
        ({"times": -np.arange(12.0)}, ValueError, "ascending"),
        ({"records": [0, 1]}, ValueError, "leaves 2 of 12"),
        ({"records": [30]}, ValueError, r"records = \[30\]"),
        ({"group": (0, 2)}, ValueError, r"group = \(0, 2\)"),
        ({"group": (1, 0)}, ValueError, r"group = \(1, 0\).*neighboring"),
        ({"group": (0.5,)}, TypeError, r"group = \(0.5,\)"),
        ({"observable": "lambda"}, ValueError, "observable = 'lambda'.*'singular_values'"),
        ({"observable": "spacings"}, ValueError, "'spacings': must be one of.*: .*no such equation"),
        ({"observable": "singular_values"}, ValueError, "an array is taken as it is"),
        ({"lag": 0}, ValueError, "lag = 0"),
        ({"lag": 6}, ValueError, "lag = 6: must be an integer from 1 to 5"),
        ({"lag": 1.5}, TypeError, "lag = 1.5"),
        ({"window": 0}, ValueError, "window = 0"),
        ({"window": (0.5, 0.2)}, ValueError, r"window = 0\.2.*> 0\.5"),
        ({"window": (1, 2, 3)}, TypeError, r"window = \(1, 2, 3\)"),
        ({"points": 3}, ValueError, "points = 3"),
        ({"beta": -1}, ValueError, "beta = -1"),
        ({"data": np.random.default_rng(1).normal(size=(20, 12, 1))}, ValueError, "apart: must be closer.*autocorr"),
    ],
)
def test_bad_input(change, error, message):
    arguments = {"data": LEVELS, "times": 0.1 * np.arange(12)} | change
    with pytest.raises(error, match=message):
        estimate_dynamics(**arguments)


def test_bad_input_of_a_run():
    model = ds.GaussianRBM(np.diag([5.0, 6.0]), mu=3.0, gibbs_steps=1)
    run = ds.simulate(ds.SGD(model, 0.05, 4), 10, 40, 1, record_every=4)
    with pytest.raises(ValueError, match=r"group = None: .*several wells; .*a single level from 0 to 1"):
        estimate_dynamics(run)
    with pytest.raises(ValueError, match="times: must be left out"):
        estimate_dynamics(run, times=run.times, group=(0, 1))


def test_errors_of_eight_replicas_are_honest():
    """600 ensembles of 8: value +- 1.96 errors holds rate, center and g in 95 +- 0.9%, here in 92.5% or more.

    The control: the infinitesimal jackknife without Student's t, right for many replicas, holds the rate in 88%.
    """
    rng, held, naive = np.random.default_rng(13), [], []
    for _ in range(600):
        levels = ensemble(rng, 0, 2, 8, 60, 0.05)
        found = estimate_center(levels, 1, 0.05)
        held.append([abs(found.rate.deviation(1)), abs(found.center.deviation(0)), abs(found.noise.deviation(1))])
        center = levels.mean(axis=2)
        d0, d1 = center[:, :-1] - center[:, :-1].mean(0), center[:, 1:] - center[:, 1:].mean(0)
        products, squares = (d0 * d1).mean(1), (d0**2).mean(1)
        b = products.sum() / squares.sum()
        error = ((products - b * squares) / squares.mean()).std(ddof=1) / math.sqrt(8) / (b * 0.05)
        naive.append(abs(found.rate.value - 1) / error)
    assert (np.mean(np.array(held) < 1.96, axis=0) > 0.925).all()
    assert np.mean(np.array(naive) < 1.96) < 0.925


def double_well(rng, replicas, records, interval, beta=1, steps=4):
    """Levels of 2 x 2 matrices that move by dX = (3X - X^3) dt + noise."""
    step = interval / steps
    x, levels = hermitian(rng, beta, (replicas,), 2), []
    for k in range(int(1.5 / step) + steps * (records - 1) + 1):
        if k >= int(1.5 / step) and (k - int(1.5 / step)) % steps == 0:
            levels.append(np.linalg.eigvalsh(x))
        x = x + step * (3 * x - x @ x @ x) + math.sqrt(2 * step) * hermitian(rng, beta, (replicas,), 2)
    return np.swapaxes(levels, 0, 1)


@pytest.mark.parametrize(("beta", "interval"), [(1, 0.02), (1, 0.04), (2, 0.02)])
def test_a_double_well_is_not_taken_for_repulsion(beta, interval):
    """K' is 3 between the wells, -6 in them; the control at beta = 1, one rate for all gaps, is 4 errors off."""
    levels = double_well(np.random.default_rng(14), 200, 60, interval, beta)
    found = estimate(levels, interval)
    assert abs(found.beta.deviation(beta)) < 4
    assert abs(found.beta_density.deviation(beta)) < 4
    assert abs(found.noise.deviation(1)) < 4
    assert (np.abs((found.drift.value - 3 * found.drift.x + found.drift.x**3) / found.drift.error) < 4).all()
    if beta == 1:
        moves = transitions(levels, 1, interval, found.window)
        assert abs(collisions(moves, None, found.rate).beta.deviation(beta)) > 4


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_levels_of_different_wells_are_refused(beta):
    """Two levels of distant wells, which repel, and the control: two levels as far apart that share a well."""
    rng = np.random.default_rng(15)
    shared = 1 + ensemble(rng, 4, 2, 200, 60, 0.05)
    assert estimate(shared, 0.05).beta is not None  # their gap is 1.75 times the sum of their widths
    levels, x, step = [], np.tile([-2.0, 2.0], (200, 1)), 0.005
    for k in range(1000):
        if k >= 400 and k % 10 == 0:
            levels.append(x)
        x = x - step * (x - [-2.0, 2.0]) + math.sqrt(2 * step) * rng.normal(size=x.shape)
        half = np.sqrt((x[:, 1] - x[:, 0]) ** 2 + 4 * step * rng.chisquare(beta, 200)) / 2
        x = x.mean(axis=1, keepdims=True) + half[:, None] * [-1, 1]
    with pytest.raises(ValueError, match="levels 0 and 1 lie in different wells, their gap is 2"):
        estimate(np.swapaxes(levels, 0, 1), 10 * step)


@pytest.mark.parametrize("description", [ds.SGD, ds.Langevin, ds.Dyson])
def test_wells_of_a_model_are_known(description):
    sgd = ds.SGD(ds.TeacherStudent(np.diag([2.0, 3.0]), gradient_noise=0.1), 0.05, 16)
    process = sgd if description is ds.SGD else description(sgd)
    moments = (
        {"times": 100 + 2.0 * np.arange(20)}
        if process.continuous
        else {"steps": 140, "record_steps": range(100, 140, 2)}
    )
    run = ds.simulate(process, 10, seed=1, **moments)
    for observable in ("eigenvalues", "singular_values"):
        with pytest.raises(ValueError, match="levels 0 and 1 lie in different wells"):
            estimate_dynamics(run, group=(0, 1), observable=observable)
    assert estimate_dynamics(run, group=(1,)).beta is None
