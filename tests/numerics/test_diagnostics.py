"""Chain diagnostics against an autoregressive process whose memory is known, and against ArviZ where it is there."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dysonsim.numerics import diagnostics


def autoregressive(phi, chains, draws, seed=0):
    """x_t = phi x_{t-1} + noise, stationary, unit variance: rho_k = phi^k, tau = (1 + phi)/(1 - phi)."""
    rng = np.random.default_rng(seed)
    x = np.empty((chains, draws))
    x[:, 0] = rng.standard_normal(chains)
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * rng.standard_normal(chains)
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.4])
def test_memory_of_an_autoregressive_process(phi):
    """64 chains of 20000 draws: tau to 4%, three standard errors at phi = 0.9."""
    x = autoregressive(phi, 64, 20_000)
    tau = (1 + phi) / (1 - phi)
    assert diagnostics.autocorrelation_time(x) == pytest.approx(tau, rel=0.04)
    assert diagnostics.effective_sample_size(x) == pytest.approx(64 * 20_000 / tau, rel=0.04)
    np.testing.assert_allclose(diagnostics.autocorrelation(x)[:6], phi ** np.arange(6.0), atol=0.03)
    # Control: a memory 10% longer would not pass.
    assert diagnostics.autocorrelation_time(x) != pytest.approx(1.1 * tau, rel=0.04)


def test_error_of_a_mean_is_what_the_effective_sample_size_says():
    x = autoregressive(0.8, 400, 500, seed=1)
    measured = x.mean(axis=1).std()
    promised = 1 / np.sqrt(500 / diagnostics.autocorrelation_time(x))
    assert measured == pytest.approx(promised, rel=0.12)  # 3 standard errors of a standard deviation of 400


def test_split_r_hat():
    x = autoregressive(0.3, 8, 1000, seed=2)
    assert diagnostics.r_hat(x) < 1.01
    assert diagnostics.r_hat(x, ranked=False) < 1.01
    apart = x + 0.5 * (np.arange(8) % 2)[:, None]
    assert diagnostics.r_hat(apart) > 1.02
    drift = x + np.linspace(0, 2, 1000)  # one law in the first half, another in the second
    assert diagnostics.r_hat(drift[:1]) > 1.1
    wide = x * np.where(np.arange(8) < 4, 1.0, 3.0)[:, None]  # equal means: only ranks of the folded draws see it
    assert diagnostics.r_hat(wide, ranked=False) < 1.01 < 1.1 < diagnostics.r_hat(wide)


def test_shapes_constants_and_acceptance():
    x = np.stack([autoregressive(0.0, 4, 200), autoregressive(0.5, 4, 200), np.ones((4, 200))], axis=-1)
    tau = diagnostics.autocorrelation_time(x)
    assert tau.shape == (3,)
    assert tau[2] == pytest.approx(2 * 200 - 1)
    assert diagnostics.r_hat(x).shape == (3,)
    assert diagnostics.r_hat(x, ranked=False)[2] == 1
    assert diagnostics.autocorrelation(x).shape == (200, 3)
    assert isinstance(diagnostics.r_hat(x[..., 0]), float)
    held = np.repeat(np.arange(10.0), 2)[None]  # moves in 9 of 19 draws
    assert diagnostics.acceptance(held) == pytest.approx(9 / 19)


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.95])
def test_arviz_agrees(phi):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arviz = pytest.importorskip("arviz")
    x = autoregressive(phi, 4, 40_000, seed=3)
    assert diagnostics.r_hat(x) == pytest.approx(float(arviz.rhat(x, method="rank")), abs=1e-10)
    assert diagnostics.r_hat(x, ranked=False) == pytest.approx(float(arviz.rhat(x, method="split")), abs=1e-10)
    wild = np.sinh(3 * x)  # whose ranks alone can be followed
    bulk = diagnostics.effective_sample_size(wild, ranked=True)
    assert bulk == pytest.approx(float(arviz.ess(wild, method="bulk")), rel=0.1)
    assert bulk == pytest.approx(diagnostics.effective_sample_size(x), rel=0.1)
    # Sokal's window against Geyer's, and about one mean instead of four: 10%.
    assert diagnostics.effective_sample_size(x) == pytest.approx(float(arviz.ess(x, method="mean")), rel=0.1)


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((2, 3)), np.zeros((0, 9)), [[1, 2, 3, np.nan]]])
def test_bad_chains(bad):
    with pytest.raises(ValueError, match="chains"):
        diagnostics.r_hat(bad)
