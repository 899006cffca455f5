"""Gaussian restricted Boltzmann machine trained by persistent contrastive divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _checks
from ...backend import one_blas_thread
from .._goe import mean_goe_spacing
from ..closures import DysonTerms, check_closure
from .closure import rbm_terms
from .gaussian_error import asymmetry_error, width_error
from .training import MOST_NOISES, RBMTraining

MOST_UNITS = 10**4  # sites of a ring; a matrix with so many rows and columns takes 0.8 GB
SAMPLINGS = ("auto", "at_once", "two_noises", "step_by_step")


@dataclass(frozen=True, eq=False, repr=False)
class GaussianRBM(RBMTraining):
    """Gaussian RBM that learns the Gaussian p(phi) ~ exp(-phi^T target phi / 2) (arXiv:2412.20496, arXiv:2407.16427).

    The energy of visible units phi and hidden units h is S(phi, h) = mu^2 phi^T phi / 2 + h^T h / (2 sigma^2)
    - h^T W phi, so that h | phi ~ N(sigma^2 W phi, sigma^2) and phi | h ~ N(W^T h / mu^2, 1/mu^2). The visible units
    alone have p(phi) ~ exp(-phi^T K phi / 2) with K = mu^2 - sigma^2 X, X = W^T W. Training by persistent contrastive
    divergence is W <- W + alpha sigma^2 W (target^-1 - C), where C is the mean of phi phi^T over |B| persistent Markov
    chains; these start at phi = 1 and make `gibbs_steps` Gibbs steps before every update. The fixed point is
    sigma^2 x_i = mu^2 - kappa_i, kappa_i the eigenvalues of `target`.

    Parameters
    ----------
    target : array, shape (n_visible, n_visible)
        Inverse covariance matrix of the data, symmetric and positive definite.
    mu : float
        Mass of the visible units, > 0. mu^2 must exceed every kappa_i that can be learned, the `n_hidden` smallest.
    sigma : float
        Standard deviation of the hidden units, > 0.
    gibbs_steps : int or math.inf
        Gibbs steps k of a chain before each update, >= 1; math.inf draws independent samples from p(phi).
    n_hidden : int, optional
        Number of hidden units, the rows of W; default n_visible. If it is less, n_visible - n_hidden levels are 0.
    sampling : {"auto", "at_once", "two_noises", "step_by_step"}
        How the k Gibbs steps are drawn: as one linear-Gaussian step, phi' = A^k phi + L z ("at_once") or
        phi' = A^k phi + q(A) xi + r(A) eta ("two_noises"), see `dysonsim.kernels.networks.rbm`, or one after the other.
        All have the same law; "auto" takes the fastest: the first, unless the batch is smaller than the number of
        visible units, and the last for 96 units or more.
    allow_unreachable : bool
        Accept kappa_i >= mu^2. Such modes decay to x = 0.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Notes
    -----
    sigma only sets units: weights W at learning rate alpha behave as weights sigma W at alpha sigma^2 with sigma = 1.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.GaussianRBM(target=np.diag([4.0, 5.0, 6.0]), mu=3.0)
    >>> print(model.fixed_point().round(3))
    [3. 4. 5.]
    >>> sgd = ds.SGD(model, learning_rate=0.02, batch_size=16)
    >>> print(sgd.stationary_widths().round(3))
    [0.087 0.101 0.115]
    """

    target: np.ndarray
    mu: float
    sigma: float = 1.0
    gibbs_steps: float = 3
    n_hidden: int | None = None
    sampling: str = "auto"
    allow_unreachable: bool = False

    # With momentum: the weights see the noise of the chains, whatever its memory, summed over many steps.
    leading_order: ClassVar[tuple[str, ...]] = (
        "stationary_widths", "mean_spacings", "singular_value_widths", "singular_value_spacings", "relaxation_rates"
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the fields."""
        target = _checks.positive_definite("target", self.target)
        hidden = target.shape[0] if self.n_hidden is None else self.n_hidden
        fields = {
            "target": target,
            "mu": _checks.real("mu", self.mu, above=0, below=1e30),
            "sigma": _checks.real("sigma", self.sigma, above=0, below=1e30),
            "gibbs_steps": _gibbs_steps(self.gibbs_steps),
            "n_hidden": _checks.integer("n_hidden", hidden, 1),
            "sampling": _checks.choice("sampling", self.sampling, SAMPLINGS),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "allow_unreachable", _checks.flag("allow_unreachable", self.allow_unreachable))
        if self.sampling == "two_noises" and self.gibbs_steps > MOST_NOISES:
            raise ValueError(
                f"sampling = 'two_noises': for gibbs_steps <= {MOST_NOISES}, not {self.gibbs_steps}; take 'at_once'"
            )
        if self.sampling == "step_by_step" and self.gibbs_steps == math.inf:
            raise ValueError("sampling = 'step_by_step': must be 'at_once' where gibbs_steps = inf (no steps to make)")
        hardest = float(np.sort(self.kappa)[: self.weight_shape[0]][-1])
        if hardest >= self.mu**2 and not self.allow_unreachable:
            raise ValueError(
                f"mu = {_checks.exact(self.mu)}: mu^2 = {self.mu**2:.12g} must exceed the eigenvalues of "
                f"target that the hidden units learn, the largest of which is kappa = {hardest:.12g} "
                f"(mu > {math.sqrt(hardest):.6g}); "
                f"allow_unreachable=True leaves such modes at x = 0"
            )

    @classmethod
    def scalar_field(
        cls,
        n_visible: int,
        mass: float,
        mu: float,
        sigma: float = 1.0,
        gibbs_steps: float = 3,
        n_hidden: int | None = None,
        sampling: str = "auto",
        allow_unreachable: bool = False,
    ) -> GaussianRBM:
        """Make a free scalar field on a ring of n >= 2 sites: kappa_k = mass^2 + 2 - 2 cos(2 pi k / n), n = n_visible.

        The target has mass^2 + 2 on the diagonal and -1 for every neighbor. On two sites the left and the right
        neighbor are the same site, which therefore gets -2. `mass` is >= 1e-6. All other arguments of the class can be
        given as well.
        """
        n_visible = _checks.integer("n_visible", n_visible, 2)
        if n_visible > MOST_UNITS:
            raise ValueError(f"n_visible = {n_visible}: must be at most {MOST_UNITS}")
        mass = _checks.real("mass", mass, at_least=1e-6, below=1e30)  # else its square is lost in rounding beside 2
        one = np.eye(n_visible)
        target = (mass**2 + 2) * one - np.roll(one, 1, axis=1) - np.roll(one, -1, axis=1)
        return cls(target, mu, sigma, gibbs_steps, n_hidden, sampling, allow_unreachable)

    @property
    def weight_shape(self) -> tuple[int, int]:
        """(n_hidden, n_visible)."""
        assert self.n_hidden is not None
        return self.n_hidden, self.target.shape[0]

    @np.errstate(under="ignore")
    def gaussian_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Leading order in alpha/|B|: third cumulants of C, with their memory (`.gaussian_error`), shape (n,).

        10 modes, mu = 3, alpha = 0.1, |B| = 16: -0.7 to -1.8% of the mean spacings for 3 Gibbs steps (measured: -1.1
        to -1.7, error 0.3), -0.9 to -2.3% for 1 (measured: -0.7 to -1.4). For a single level beside a close well it is
        only an order of magnitude (4%, where 7% were measured). It is 0 for levels that are not learned.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        y, k = self._scaled(self.fixed_point())
        wells = np.arange(self.n)
        for group in self.degenerate_groups():
            wells[list(group)] = group[0]
        return width_error(y, k, self._learned(), self._unit_memory(y), wells, alpha * self.sigma**2, batch)

    def asymmetry_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Leading order, sqrt(alpha/|B|): third cumulants of C skew a pair (`.gaussian_error`), shape (groups,).

        Target diag(2, 2, 4), mu = 3, alpha = 0.02, |B| = 16, 3 Gibbs steps: +10.3% (measured: +10.4, error 0.5; the
        upper level is 3.9% wider than the lower one in SGD, and 14.7% wider in Langevin).
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        y, k = self._scaled(self.fixed_point())
        groups = self.degenerate_groups()
        return asymmetry_error(y, k, self._learned(), self._unit_memory(y), groups, alpha * self.sigma**2, batch)

    def is_defined(self, singular_values: np.ndarray) -> np.ndarray:
        """Whether K = mu^2 - sigma^2 X is positive, shape (...)."""
        values = _checks.array("singular_values", singular_values, finite=False, empty=True)
        if not values.ndim or not values.shape[-1]:
            raise ValueError(f"singular_values have shape {values.shape}: must be (..., n)")
        return np.asarray(self.sigma * values[..., -1] < self.mu)

    @property
    def kappa(self) -> np.ndarray:
        """Eigenvalues of the target, shape (n,), *descending*: kappa[i] belongs to the level x_i."""
        with one_blas_thread():
            return np.linalg.eigvalsh(self.target)[::-1].copy()

    def to_lambda(self, x: np.ndarray) -> np.ndarray:
        """Eigenvalues lambda = mu^2 - sigma^2 x of the learned K, any shape; descending where x ascends."""
        return np.asarray(self.mu**2 - self.sigma**2 * _checks.array("x", x, empty=True))

    def fixed_point(self) -> np.ndarray:
        """x_i = (mu^2 - kappa_i) / sigma^2, and 0 for modes that are not learned. Exact for |B| -> inf."""
        return np.where(self._learned(), (self.mu**2 - self.kappa) / self.sigma**2, 0.0)

    def drift(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Drift K_i per SGD step, shape (n,), up to and including alpha^2.

        K_i = 2 alpha s2 x_i d_i + alpha^2 s2^2 [x_i d_i^2 + (1/|B|) sum_m x_m (1 + delta_im)/(k_i k_m)], s2 = sigma^2,
        k_i = mu^2 - s2 x_i, d_i = 1/kappa_i - 1/k_i. Exact for one step where X and target have the same eigenvectors
        (level i with kappa[i]) and the chains are in equilibrium at this X. Not valid for k_i <= 0 (ValueError), nor
        over many steps for the alpha^2 part: see `mean_shift`.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        y, k = self._scaled(x)
        step = alpha * self.sigma**2
        d = 1 / self.kappa - 1 / k
        spread = (y / k).sum() / k + y / k**2
        return np.asarray((2 * step * y * d + step**2 * (y * d**2 + spread / batch)) / self.sigma**2)

    def noise(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Noise strengths g_ij per SGD step, shape (n, n), to leading order in alpha.

        g_ij^2 = alpha^2 s2^2 (x_i + x_j)^2 c_ij / (|B| k_i k_j), c_ij = (1 + r)/(1 - r), r = (a_i a_j)^gibbs_steps,
        a_i = sigma^2 x_i/mu^2: the factor by which the persistence of the chains raises the noise summed over many
        steps; one single step has c_ij = 1, and so has gibbs_steps = inf. Holds where levels move little in the
        1/(1 - r) steps that a chain remembers.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        y, k = self._scaled(x)
        g2 = alpha**2 * (y[:, None] + y) ** 2 * self._correlation_factor(y) / (batch * np.outer(k, k))
        return np.asarray(np.sqrt(g2))

    @one_blas_thread()
    def dyson_terms(self, learning_rate: float, batch_size: int, closure: str = "corrected") -> DysonTerms:
        """Drift, noise and repulsion of the eigenvalues of X, `dysonsim.models.rbm.closure`."""
        alpha, batch = self._rates(learning_rate, batch_size)
        return rbm_terms(self, alpha, batch, check_closure(closure))

    def stationary_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Linear scaling rule, leading order in alpha/|B|: sigma_i = sqrt(2 (alpha/|B|) (mu^2 - kappa_i) c_ii) / sigma.

        c_ii as in `noise`. Relative corrections: + alpha sigma^4 x_i/(2 kappa_i^2) of the width at c = 1, because
        SGD makes finite steps, and O(n alpha/|B|) from the other modes, negative in the papers' range: for 10 modes,
        mu = 3, |B| = 16, 3 Gibbs steps the measured spacings lie 1 to 3% below at alpha = 0.02, 5 to 14% at 0.1.
        Levels that are not learned have width 0.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        y, _ = self._scaled(self.fixed_point())
        variance = 2 * alpha / batch * y * np.diag(self._correlation_factor(y))
        return np.asarray(np.sqrt(variance) / self.sigma)

    def mean_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """sqrt(pi) sigma_i for a pair, the GOE's mean spacing for larger groups; same order as `stationary_widths`."""
        widths = self.stationary_widths(learning_rate, batch_size)
        return np.array([widths[g[0]] * mean_goe_spacing(len(g)) for g in self.degenerate_groups()])

    def relaxation_rates(self, learning_rate: float) -> np.ndarray:
        """2 alpha sigma^4 x_i / kappa_i^2 per step near the fixed point, shape (n,), first order in alpha.

        Modes with kappa >= mu^2 decay to x = 0 at 2 alpha sigma^2 (1/mu^2 - 1/kappa); levels that are identically 0
        because n_hidden < n_visible have rate inf. The chains are taken as in equilibrium at every step.
        """
        step = _checks.scale("learning_rate", learning_rate) * self.sigma**2
        rates = 2 * step * self.sigma**2 * self.fixed_point() / self.kappa**2
        rates = np.where(self._learned(), rates, 2 * step * (1 / self.mu**2 - 1 / self.kappa))
        rates[: max(0, self.n - self.weight_shape[0])] = math.inf
        return rates

    @np.errstate(under="ignore")
    def mean_shift(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """E x_i - fixed_point in the stationary state, shape (n,), to first order in alpha/|B|; of a group, its mean.

        Second-order perturbation theory in H = X - X_fixed, whose entries have the equilibrium variance
        (alpha/2|B|)(x_i + x_m)(1 + delta_im) c_im (sigma = 1). For c = 1 it reads
        (alpha/2|B|)[(kappa_i/x_i) sum_m x_m(1 + delta_im)/kappa_m - (mu^2/x_i) sum_m (x_i + x_m)(1 + delta_im)/kappa_m
        + sum_{j in other wells} (x_i + x_j)/(x_i - x_j)]; here the correlations between the chains and H that a finite
        number of Gibbs steps brings are kept as well. Valid where wells are farther apart than they are wide and
        n alpha/|B| is small. It is *not* what Dyson Brownian motion with `drift` and `noise` gives: there levels of
        different wells repel as if their eigenvectors were free (the paper's closure), which is a larger shift.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        step = alpha * self.sigma**2
        learned = self._learned()
        y, k = self._scaled(self.fixed_point())
        i, m = np.ix_(range(self.n), range(self.n))
        twice = 1.0 + np.eye(self.n)
        memory = self._memory(y)
        sums = y[i] + y[m]
        # variance of H_im; rotations into modes that are not learned leave the levels as they are
        h2 = np.where(learned, step / (2 * batch) * sums * twice * self._correlation_factor(y), 0.0)
        # N = C - K^-1, the chains' deviation from equilibrium: its variance, E[H_im N_im], and the mean it acquires
        noise_variance = twice / (batch * k[i] * k[m])
        cross = -step * sums * noise_variance / (1 - memory)
        a = y / self.mu**2
        power = np.zeros(self.n) if self.gibbs_steps == math.inf else a**self.gibbs_steps
        mean_noise = 2 * power / (1 - power**2) * (self._power_slope(a) * cross).sum(1)
        drift = (
            -(h2 * (y[i] + k[i]) / (k[i] ** 2 * k[m])).sum(1)
            - y * mean_noise
            - (memory * cross).sum(1)
            + step / 2 * (y * noise_variance).sum(1)
        )
        shift = np.divide(k**2 * drift, y, out=np.zeros(self.n), where=learned)
        well = np.arange(self.n)
        for group in self.degenerate_groups():
            well[list(group)] = group[0]
        apart = (well[i] != well[m]) & learned[i] & learned[m]
        shift += np.divide(h2, y[i] - y[m], out=np.zeros_like(h2), where=apart).sum(1)
        return np.asarray(np.where(learned, shift, 0.0) / self.sigma**2)

    def max_learning_rate(self, batch_size: int) -> float:
        """Return the smaller of two limits near the fixed point: linear stability without noise, noise of three widths.

        Without noise (exact for |B| -> inf), for learned pairs: alpha sigma^4 (x_i + x_j)/(kappa_i kappa_j) < 2 c_ij;
        the memory of the chains filters the feedback and *raises* the limit by c_ij. With noise (rule of thumb): the
        levels must stay below mu^2/sigma^2, where K loses positivity, so that kappa_i > 3 sigma^2 sigma_i with the
        leading-order widths. Measured with 10 modes and mu = 3 (16 networks, hundreds of steps, |B| = 1 and 4), the
        first networks diverge at 2.2 to 2.7 widths for 3 Gibbs steps, at 1.7 for 1 and at 2.8 to 3.6 for inf; longer or
        larger runs need more room.
        """
        batch = self.check_batch_size(batch_size)
        return min(self._deterministic_limit(), self._noise_limit(batch))

    def stability(self, learning_rate: float, batch_size: int) -> str:
        """Sentence for error messages: both limits, and how many widths separate the levels from K = 0."""
        alpha, batch = self._rates(learning_rate, batch_size)
        limit, noise = self._deterministic_limit(), self._noise_limit(batch)
        margin = 3 * math.sqrt(noise / alpha)
        return (
            f"learning_rate = {alpha:g} against a stability limit of {limit:.4g} from the drift and, as a rule of "
            f"thumb, {noise:.4g} from the noise at batch_size = {batch}: K = mu^2 - sigma^2 X with mu = {self.mu:g} "
            f"loses positivity {margin:.3g} standard deviations above the fixed point, where 3 or fewer end a run, and "
            f"near the limit of the drift more"
        )

    def _deterministic_limit(self) -> float:
        learned = self._learned()
        y, k = (values[learned] for values in self._scaled(self.fixed_point()))
        limits = 2 * self._correlation_factor(y) * np.outer(k, k) / (y[:, None] + y)
        return float(limits.min(initial=math.inf)) / self.sigma**2

    def _noise_limit(self, batch: int) -> float:
        learned = self._learned()
        widths = self.sigma**2 * self.stationary_widths(1.0, batch)[learned]
        return float(((self.kappa[learned] / widths) ** 2).min(initial=math.inf)) / 9

    def _learned(self) -> np.ndarray:
        """Mask of the levels with a fixed point above 0: the n_hidden smallest kappa, and only those below mu^2."""
        reached = self.kappa < self.mu**2
        reached[: max(0, self.n - self.weight_shape[0])] = False
        return reached

    def _scaled(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels y = sigma^2 x in units with sigma = 1, and k = mu^2 - y > 0."""
        y = self.sigma**2 * self._levels(x)
        k = self.mu**2 - y
        if (k <= 0).any():
            largest, bound = _checks.exact(np.max(x)), _checks.exact((self.mu / self.sigma) ** 2)
            raise ValueError(f"x = {largest}: must be < mu^2/sigma^2 = {bound}, else K is not positive")
        return y, k

    @np.errstate(under="ignore")
    def _unit_memory(self, y: np.ndarray) -> np.ndarray:
        """Correlation a_i^gibbs_steps of phi_i from one update to the next, shape (n,)."""
        return np.zeros(y.size) if self.gibbs_steps == math.inf else (y / self.mu**2) ** self.gibbs_steps

    @np.errstate(under="ignore")
    def _memory(self, y: np.ndarray) -> np.ndarray:
        """Correlation (a_i a_j)^gibbs_steps of phi_i phi_j from one update to the next, shape (n, n)."""
        memory = self._unit_memory(y)
        return np.outer(memory, memory)

    @np.errstate(under="ignore")
    def _correlation_factor(self, y: np.ndarray) -> np.ndarray:
        memory = self._memory(y)
        return np.asarray((1 + memory) / (1 - memory))

    @np.errstate(under="ignore")
    def _power_slope(self, a: np.ndarray) -> np.ndarray:
        """Entries of d(A^k) per entry of dX at A = diag(a): sum_l a_i^l a_m^(k-1-l) / mu^2, shape (n, n)."""
        if self.gibbs_steps == math.inf:
            return np.zeros((a.size, a.size))
        # S_2k = S_k (a^k + b^k) and S_(k+1) = a S_k + b^k, for the bits of k from the top
        total, power = np.ones((a.size, a.size)), a
        for bit in f"{int(self.gibbs_steps):b}"[1:]:
            total = total * (power[:, None] + power)
            power = power * power
            if bit == "1":
                total = total * a[:, None] + power
                power = power * a
        return total / self.mu**2


def _gibbs_steps(value: float) -> float:
    if isinstance(value, float) and value == math.inf:
        return math.inf
    try:
        return _checks.integer("gibbs_steps", value, 1)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error}, or math.inf") from None
