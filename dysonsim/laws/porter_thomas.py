"""Porter-Thomas: the components of eigenvectors that point anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._numerics import log_gamma_half, whole
from .base import Law
from .standard import one_of

LARGEST_N = 1_000_000


@dataclass(frozen=True)
class PorterThomas(Law):
    """Y = n |v_j|^2 in [0, n] for one component v_j of a normalized random vector v of n components.

    |v_j|^2 follows the beta law with exponents beta/2 and beta (n - 1)/2, so that Y has mean 1, whatever n. For
    n -> infinity it is a chi-squared number of beta degrees of freedom over beta: for beta = 1 the law exp(-y/2)/
    sqrt(2 pi y) (Porter, Thomas, Phys. Rev. 104 (1956) 483).

    Exact for one component of one eigenvector of the Gaussian and circular ensembles. The components of one vector are
    not independent, since their squares add up to n.

    Parameters
    ----------
    n : int, from 2 to 1000000
        Number of components.
    beta : 1, 2 or 4
        Real, complex or quaternion components; of a quaternion, |v_j|^2 is the sum of its four squares.

    Notes
    -----
    The law has nothing to fit but n, which for a given matrix is known: hand an instance to `compare`. `fit` takes the
    whole n of the largest likelihood.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.PorterThomas(n=10, beta=1)
    >>> law.mean(), round(law.var(), 4)
    (1.0, 1.5)
    >>> law.inverse_participation()
    0.25
    """

    n: int
    beta: int = 1

    shape: ClassVar[tuple[str, ...]] = ("n",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        if name == "beta":
            return one_of(name, value, (1, 2, 4))
        count = whole(name, value, LARGEST_N)
        if count < 2:
            raise ValueError(f"{name} = {value!r}: must be an integer >= 2")
        return count

    @property
    def _exponents(self) -> tuple[float, float]:
        return 0.5 * self.beta, 0.5 * self.beta * (self.n - 1)

    @property
    def _log_beta(self) -> float:
        """Log of B(a, b), where a difference of lgammas would lose digits at large b."""
        _, b = self._exponents
        if self.beta == 1:
            return 0.5 * math.log(math.pi) - log_gamma_half(b)
        return -math.log(b) if self.beta == 2 else -math.log(b) - math.log1p(b)

    def support(self) -> tuple[float, float]:
        """Return (0, n)."""
        return 0.0, float(self.n)

    def mean(self) -> float:
        """Return 1."""
        return 1.0

    def var(self) -> float:
        """Return 2 (n - 1)/(beta n + 2)."""
        return 2.0 * (self.n - 1) / (self.beta * self.n + 2.0)

    def inverse_participation(self) -> float:
        """Return the mean of sum_j |v_j|^4, (beta + 2)/(beta n + 2)."""
        return (self.beta + 2.0) / (self.beta * self.n + 2.0)

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import xlog1py, xlogy

        a, b = self._exponents
        y = x / self.n
        return xlogy(a - 1.0, y) + xlog1py(b - 1.0, -y) - self._log_beta - math.log(self.n)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._tails(x)[0]

    def _sf(self, x: np.ndarray) -> np.ndarray:
        return self._tails(x)[1]

    def _tails(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cdf and sf, both from the distance to the nearer end."""
        from scipy.special import betainc, betaincc

        a, b = self._exponents
        share, rest = x / self.n, (self.n - x) / self.n
        left = share < 0.5
        lower = np.where(left, betainc(a, b, share), betaincc(b, a, rest))
        if self.beta == 1:
            upper = np.where(left, betaincc(a, b, share), betainc(b, a, rest))
        else:  # in closed form: (1 - y)^b, times 1 + b y
            upper = np.exp(b * np.where(left, np.log1p(-share), np.log(rest)))
            upper = upper * (1.0 + b * share) if self.beta == 4 else upper
        return np.where(lower < 0.5, lower, 1.0 - upper), np.where(lower < 0.5, 1.0 - lower, upper)

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import betaincinv

        a, b = self._exponents
        least = np.exp((np.log(q) + math.log(a) + self._log_beta) / a)  # the leading term, where SciPy may give up
        return self.n * np.where(least * b < 1e-10, least, betaincinv(a, b, q))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import betainccinv

        return self.n * betainccinv(*self._exponents, q)

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        a, b = self._exponents
        this, others = rng.standard_gamma(a, size), rng.standard_gamma(b, size)
        return self.n * this / (this + others)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Search the whole numbers: the likelihood has one maximum in log n."""
        if x.min() < 0.0:
            raise ValueError(f"data contain {x.min():g}: n |v|^2 must be >= 0")
        beta = int(fixed.get("beta", 1))
        least = max(2, math.ceil(float(x.max())))

        def cost(n: float) -> float:
            return -cls(round(n), beta).loglikelihood(x)

        from scipy.optimize import minimize_scalar

        high = math.log(LARGEST_N)
        found = minimize_scalar(lambda z: cost(math.exp(z)), bounds=(math.log(least), high), method="bounded")
        near = round(math.exp(found.x))
        if near > 1000:
            return {"n": near}
        candidates = range(max(least, near - 2), near + 3)
        return {"n": min(candidates, key=cost)}
