"""Circular ensembles and Dyson's circle process: equations of means, invariant law, two-time form factor, input.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 runs), with fixed seeds. One kernel serves all n.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds
from dysonsim.kernels.dyson import circle

SIGMAS = 4.5


def power_sum(angles, k):
    """p_k = sum exp(i k theta), (replicas, records, n) -> (replicas, records)."""
    return np.exp(1j * k * angles).sum(-1)


def gaps(angles):
    return np.diff(angles, axis=-1, append=angles[..., :1] + 2 * np.pi)


def killip_nenciu(n, beta, replicas, seed):
    """Eigenvalues of products of block-diagonal matrices of Verblunsky coefficients: nothing of the library's."""
    rng = np.random.default_rng(seed)
    left, right = np.zeros((2, replicas, n, n), complex)
    left[:, range(n), range(n)] = right[:, range(n), range(n)] = 1
    for k in range(n - 1):
        x = rng.standard_normal((2, replicas))
        rest = rng.chisquare(beta * (n - k - 1), replicas)
        size = (x**2).sum(0) + rest
        a, r = (x[0] + 1j * x[1]) / np.sqrt(size), np.sqrt(rest / size)
        block = (left, right)[k % 2]
        block[:, k, k], block[:, k, k + 1], block[:, k + 1, k], block[:, k + 1, k + 1] = a.conj(), r, r, -a
    (left, right)[(n - 1) % 2][:, -1, -1] = np.exp(2j * np.pi * rng.random(replicas))
    return np.sort(np.angle(np.linalg.eigvals(left @ right)))


def statistics(angles):
    """What is compared of two ensembles: (name, replicas)."""
    n, s = angles.shape[-1], gaps(angles)
    return {
        **{f"p{k}": np.abs(power_sum(angles, k)) ** 2 for k in (1, 2, 3, n)},
        "square gap": (s**2).mean(-1), "small gaps": (s < 0.4 * np.pi / n).mean(-1), "smallest gap": s.min(-1),
    }  # fmt: skip


def deviations(angles, others):
    """In standard errors, by name."""
    found = {}
    for (name, a), b in zip(statistics(angles).items(), statistics(others).values(), strict=True):
        found[name] = (a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b))
    return found


@pytest.mark.parametrize(("n", "beta"), [(2, 1.0), (5, 0.2), (5, 2.0), (6, 4.0)])
def test_draws_of_the_ensemble(n, beta):
    """Against matrices of Killip and Nenciu, and the exact E |p_1|^2 and, for beta = 2, E |p_k|^2 = min(k, n)."""
    angles = ds.simulate(ds.CoulombGas.circular(n, beta), 20_000, seed=1).eigenvalues[:, 0]
    assert (np.diff(angles) >= 0).all()
    assert (np.abs(angles) <= np.pi).all()
    for k in range(1, 2 * n if beta == 2 else 2):
        square = np.abs(power_sum(angles, k)) ** 2
        exact = min(k, n) if beta == 2 else 2 * n / (2 + beta * (n - 1))
        assert abs(square.mean() - exact) < SIGMAS * square.std() / len(square) ** 0.5
    other = killip_nenciu(n, beta, 4000, 2)
    assert max(map(abs, deviations(angles, other).values())) < SIGMAS
    assert max(map(abs, deviations(angles, killip_nenciu(n, 1.5 * beta, 4000, 2)).values())) > SIGMAS  # control
    uniform = stats.uniform(-np.pi, 2 * np.pi).cdf
    assert stats.kstest(angles[np.arange(len(angles)), np.arange(len(angles)) % n], uniform).pvalue > 1e-4


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0, 2.0, 4.0])
def test_invariant_law(beta):
    """The longest step there is keeps the ensemble as well; control: of another beta it is another's."""
    n, replicas = 5, 5000
    start = ds.simulate(ds.CoulombGas.circular(n, beta), replicas, seed=3).eigenvalues[:, 0]
    for dt in (None, 1e9):
        process = ds.CircularProcess(beta=beta, noise=0.7, initial=start, dt=dt)
        time = 0.3 / process.fastest if dt is None else 8 * process.step
        moved = ds.simulate(process, replicas, times=[time], seed=4).eigenvalues[:, 0]
        assert np.abs(moved - start).max() > 0.1
        fresh = ds.simulate(ds.CoulombGas.circular(n, beta), replicas, seed=5).eigenvalues[:, 0]
        assert max(map(abs, deviations(moved, fresh).values())) < SIGMAS
    other = ds.CircularProcess(beta=2 * beta, initial=start)
    wrong = ds.simulate(other, replicas, times=[1 / other.fastest], seed=4)
    assert max(map(abs, deviations(wrong.eigenvalues[:, 0], fresh).values())) > SIGMAS


@pytest.mark.parametrize(("n", "beta"), [(1, 1.0), (2, 0.3), (3, 1.0), (5, 2.0), (5, 4.0)])
@pytest.mark.parametrize("together", [True, False])
def test_relaxation_of_the_first_power_sum(n, beta, together):
    """E p_1 and E |p_1|^2 from angles that coincide next to pi, or lie on one side; the second within 0.5%."""
    start = np.full(n, 3.1) if together else np.linspace(2.0, 4.5, n)
    process = ds.CircularProcess(n, beta, 0.6, start)
    times = np.array([0.1, 0.5, 1.5]) / process.fastest
    replicas = 12_000
    angles = ds.simulate(process, replicas, times=times, seed=2).eigenvalues
    p, first = power_sum(angles, 1), power_sum(start, 1)
    exact = first * np.exp(-process.fastest * times)
    for part in (np.real, np.imag):
        error = part(p).std(0) / replicas**0.5
        assert (abs(part(p).mean(0) - part(exact)) < SIGMAS * error + 1e-12).all()
    limit = 2 * n / (2 + beta * (n - 1))
    exact = limit + (abs(first) ** 2 - limit) * np.exp(-2 * process.fastest * times)
    square = np.abs(p) ** 2
    allowed = SIGMAS * square.std(0) / replicas**0.5 + 0.005 * exact
    assert (abs(square.mean(0) - exact) < allowed).all()
    if n > 2:  # control
        wrong = ds.CircularProcess(n, 1.3 * beta, 0.6, start)
        wrong = np.abs(power_sum(ds.simulate(wrong, replicas, times=times, seed=2).eigenvalues, 1)) ** 2
        assert (abs(wrong.mean(0) - exact) > allowed).any()


def test_two_time_form_factor():
    """beta = 2: E p_k(t) conj p_k(0) = exp(-s k n) sinh(s k^2)/sinh(s k), s = g^2 t; error of the step below 0.5% k."""
    n, replicas, noise = 6, 40_000, 1.3
    start = ds.simulate(ds.CoulombGas.circular(n, 2.0), replicas, seed=6).eigenvalues[:, 0]
    process = ds.CircularProcess(beta=2.0, noise=noise, initial=start)
    time = 0.4 / process.fastest
    angles = ds.simulate(process, replicas, times=[time], seed=7).eigenvalues[:, 0]
    found, error = np.empty((2, n))
    for k in range(1, n + 1):
        product = (power_sum(angles, k) * power_sum(start, k).conj()).real
        found[k - 1], error[k - 1] = product.mean(), product.std() / replicas**0.5
    k = np.arange(1, n + 1)

    def exact(s):
        return np.exp(-s * k * n) * np.sinh(s * k**2) / np.sinh(s * k)

    allowed = SIGMAS * error + 0.005 * k
    assert (abs(found - exact(noise**2 * time)) < allowed).all()
    assert (abs(found - exact(1.15 * noise**2 * time)) > allowed).any()  # control


def character_ratio(n, arm, leg, alpha):
    """s(exp(i alpha), 1, ..., 1)/s(1, ..., 1) of a hook, by the boxes that a horizontal strip takes away."""
    from math import comb

    def dimension(m, a, r):
        return comb(m + a - 1, a + r) * comb(a + r - 1, r)

    total = np.exp(1j * alpha * arm) if leg == 0 else 0.0
    for taken in range(arm):
        for low in range(2 if leg else 1):
            total += dimension(n - 1, arm - taken, leg - low) * np.exp(1j * alpha * (taken + low))
    return total / dimension(n, arm, leg)


def test_order_of_the_step():
    """Exact for beta = 2, where hooks of k boxes make up p_k: the error of every two-time average is of first order."""
    n, time = 8, 0.02

    def worst(step):
        (a, variance), count = circle.jump(n, 2.0, step), round(time / step)
        errors = []
        for k in range(1, n + 1):
            rates = np.array([k * n + k * (k - 1) - 2 * k * leg for leg in range(k)])
            turn = np.exp(-0.5 * k**2 * variance)
            factors = [
                (np.exp(-1j * k * a / n) * character_ratio(n, k - leg, leg, a)).real * turn for leg in range(k)
            ]  # fmt: skip
            errors.append(abs(np.sum(np.array(factors) ** count) - np.exp(-rates * step * count).sum()) / k)
        return np.array(errors)

    coarse, fine = worst(time / 100), worst(time / 200)
    assert coarse[0] < 1e-12  # p_1 is exact
    for n_levels, beta in ((2, 0.3), (30, 1.0), (100, 4.0)):  # and so is |p_1|^2, by its linear equation
        process = ds.CircularProcess(n_levels, beta)
        a, _ = circle.jump(n_levels, beta, process.step)
        kept = 1 - 2 * (1 - np.cos(a)) * process.fastest / (n_levels * (n_levels * beta / 2 + 1))
        assert kept == pytest.approx(np.exp(-2 * process.fastest * process.step), rel=1e-12)
    np.testing.assert_allclose(coarse[1:] / fine[1:], 2.0, atol=0.15)  # of k = 4 it passes through 0
    assert worst(ds.CircularProcess(n, 2.0).step).max() < 0.003


def test_same_numbers_in_any_chunks_and_after_a_resume():
    process = ds.CircularProcess(4, 0.4, initial=[0.0, 0.0, 0.1, 3.0])
    whole = ds.simulate(process, 40, times=[0.1, 0.2, 0.5], seed=1, threads=2)
    part = ds.simulate(process, 7, times=[0.1, 0.2, 0.5], seed=1, first_replica=11, threads=1)
    assert np.array_equal(part.eigenvalues, whole.eigenvalues[11:18])
    begun = ds.simulate(process, 40, times=[0.1, 0.2], seed=1)
    assert np.array_equal(ds.simulate(process, 40, times=[0.5], seed=1, resume=begun).eigenvalues, whole.eigenvalues)


def test_angles_of_any_winding():
    process = ds.CircularProcess(initial=[7.0, -9.0, np.pi])
    first = ds.simulate(process, 1, times=[0.0], seed=1).eigenvalues[0, 0]
    np.testing.assert_allclose(first, np.sort([7 - 2 * np.pi, 2 * np.pi - 9, np.pi]), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ds.CircularProcess(), "n is missing"),
        (lambda: ds.CircularProcess(3, beta=0), "beta = 0: must be a finite number > 0"),
        (lambda: ds.CircularProcess(3, noise=-1), "noise = -1: must be a finite number > 0"),
        (lambda: ds.CircularProcess(3, initial=[0.0, 1.0]), "initial has shape"),
        (lambda: ds.CircularProcess(3, dt=0), "dt = 0: must be a finite number > 0"),
        (lambda: ds.CoulombGas.circular(0, 1.0), "n = 0: must be an integer >= 1"),
        (lambda: ds.CoulombGas.circular(3, 1.0, method="hmc"), "method = 'hmc': must be 'auto' or 'exact'"),
        (lambda: ds.CoulombGas(beta=1.0, n=3, ensemble="circular", walls=(0, 1)), "there are none on a circle"),
        (lambda: ds.CoulombGas(beta=1.0, n=3, ensemble="circular", parameters=(1.0,)), "must be left out"),
    ],
)
def test_wrong_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_how_they_are_written():
    assert repr(ds.CoulombGas.circular(3, 0.5)) == "CoulombGas.circular(3, 0.5)"
    assert "CircularProcess" in str(ds.CircularProcess(3))
