"""Maximum-likelihood fits of a law to levels of independent networks, with errors from whole replicas.

All levels of all replicas are pooled into one likelihood as if they were independent (a composite
likelihood): the estimate is consistent whenever the law is the one-point density, but the curvature alone
would give wrong errors, because the levels of a network are dependent. The sandwich covariance repairs this
(Godambe; Varin, Reid and Firth, Stat. Sinica 21, 5 (2011)):

    Cov(theta) = A^-1 B A^-1 / replicas,

A the observed information of one level, B the covariance of the replicas' mean scores. It also holds when the
law is only an approximation (then theta is the closest member of the family). For independent levels and a
true law B = A / levels, the textbook result.

Not valid beside a symmetric point: two fitted scales that are equal in truth come out several of these errors
apart in half of all samples (there `likelihood_ratio` and its AIC decide), and equal, with infinite errors, in
the others.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .._checks import shown
from .distributions import law_name

Fit = str | Sequence[str] | None


@dataclass(frozen=True, repr=False)
class FittedLaw:
    """A law with the parameters that were fitted, and what the fit knows about them.

    Attributes
    ----------
    law : Law
        The member of the family with the highest likelihood.
    names : tuple of str
        The parameters that were fitted; empty when the law was fully given.
    covariance : (k, k)
        Covariance of the fitted parameters, in the order of `names`. Infinite variance where the data do not
        determine a parameter.
    log_likelihood : (replicas,)
        Sum of log pdf over the levels of each replica.
    scores : (replicas, k)
        Mean over levels of d log pdf / d theta.
    inverse_information : (k, k)
        Inverse of the observed information of one level (zero along undetermined directions).
    effective_parameters : float
        levels * trace(A^-1 B): the number of parameters in Takeuchi's version of AIC; k for independent
        levels and a true law.
    """

    law: Any
    names: tuple[str, ...]
    covariance: np.ndarray
    log_likelihood: np.ndarray
    scores: np.ndarray
    inverse_information: np.ndarray
    effective_parameters: float

    def __repr__(self) -> str:
        """Name the law and the parameters that are fitted."""
        law = self.law if hasattr(self.law, "parameters") else law_name(self.law)
        return f"<FittedLaw {law}, fitted: {', '.join(self.names) or 'nothing'}>"

    @property
    def is_regular(self) -> bool:
        """Whether parameters were fitted and have standard errors."""
        return bool(self.names) and not np.isnan(self.covariance).any()

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the fitted parameters."""
        return {name: math.sqrt(v) for name, v in zip(self.names, np.diag(self.covariance), strict=True)}

    def cdf_gradient(self, x: np.ndarray) -> np.ndarray:
        """dF/dtheta at the points x, (points, k)."""
        gradient = np.empty((x.size, len(self.names)))
        for i, (name, h) in enumerate(zip(self.names, _steps(self.law, self.names, x), strict=True)):
            up, down = (np.asarray(_moved(self.law, {name: shift}).cdf(x)) for shift in (h, -h))
            gradient[:, i] = (up - down) / (2 * h)
        return gradient


def names_to_fit(reference: Any, fit: Fit, called: str = "fit") -> tuple[str, ...]:
    """Return the names of the parameters of `reference` (a law or a class of laws) that `fit` asks for.

    Raises
    ------
    TypeError, ValueError
        If `fit` is not None, "all" or names out of the law's `shape`; if a class is given with names.
    """
    allowed = tuple(getattr(reference, "shape", ()) if hasattr(reference, "logpdf") else ())
    if isinstance(reference, type):
        if fit is not None and not (isinstance(fit, str) and fit == "all"):
            raise ValueError(
                f"{called} = {shown(fit)}: a class is fitted in all its parameters; to hold some fixed, give an "
                f"instance {reference.__name__}(...)"
            )
        return allowed
    if fit is None:
        return ()
    if isinstance(fit, str):
        names = allowed if fit == "all" else (fit,)
    else:
        try:
            names = tuple(islice(fit, len(allowed) + 1))  # what is given may be endless
        except TypeError:
            raise TypeError(f"{called} = {shown(fit)}: must be None, 'all' or a sequence out of {allowed}") from None
    if not names or any(not isinstance(n, str) or n not in allowed for n in names) or len(set(names)) != len(names):
        raise ValueError(f"{called} = {shown(fit)}: must be None, 'all' or distinct names out of {allowed}")
    return names


def fit_law(values: np.ndarray, reference: Any, fit: Fit = None, called: str = "fit") -> FittedLaw:
    """Fit the parameters named by `fit` to (replicas, levels) data; without any, only fill in the likelihood.

    `called` is what an error calls the argument.

    Where the support moves with a fitted parameter (semicircle, Marchenko-Pastur) the likelihood is not
    differentiable and the estimate converges faster than 1/sqrt(replicas), but not normally: such a fit has
    NaN as covariance, and `inverse_information` is zero, which makes p-values count the parameters as known
    (conservative). So has one at the end of what is allowed (beta = 0 of a spacing ratio).

    Raises
    ------
    TypeError, ValueError
        Names that are not parameters, data outside the support of the law or without density there.
    """
    names = names_to_fit(reference, fit, called)
    law = reference
    if names:
        is_class = isinstance(reference, type)
        family: Any = reference if is_class else type(reference)
        given = {} if is_class else {n: v for n, v in reference.parameters.items() if n not in names}
        law = family.fit(values.ravel(), **given)
    log_likelihood = np.asarray(getattr(law, "log_terms", law.logpdf)(values)).sum(axis=1)
    if names and not np.isfinite(log_likelihood).all():
        impossible = np.flatnonzero(~np.isfinite(log_likelihood))
        where = ", ".join(f"{level:g}" for level in np.unique(values[impossible[0]])[:4])
        raise ValueError(
            f"data of {impossible.size} replicas, of replica {impossible[0]} for one ({where}), have no likelihood "
            f"under {law}: leave them out, or fit another law"
        )
    if not names or not _is_inside(law, names, values):
        k, replicas = len(names), values.shape[0]
        return FittedLaw(
            law,
            names,
            np.full((k, k), np.nan),
            log_likelihood,
            np.zeros((replicas, k)),
            np.zeros((k, k)),
            float(k),
        )
    return _with_errors(values, law, names, log_likelihood)


def _is_inside(law: Any, names: tuple[str, ...], values: np.ndarray) -> bool:
    """Whether each parameter can be moved a little either way, and does not move the support."""
    for name in names:
        shift = 1e-6 * (abs(getattr(law, name)) or float(np.std(values)))
        for step in (shift, -shift):
            if not _is_allowed(law, {name: step}) or _moved(law, {name: step}).support() != law.support():
                return False
    return True


def _moved(law: Any, shifts: dict[str, float]) -> Any:
    """Return the law with parameters shifted."""
    return law.replace(**{name: getattr(law, name) + shift for name, shift in shifts.items()})


def _is_allowed(law: Any, shifts: dict[str, float]) -> bool:
    try:
        _moved(law, shifts)
    except ValueError:
        return False
    return True


@np.errstate(all="ignore")
def _with_errors(values: np.ndarray, law: Any, names: tuple[str, ...], log_likelihood: np.ndarray) -> FittedLaw:
    """Scores and observed information by finite differences of logpdf, put together to the sandwich."""
    replicas, levels = values.shape
    k = len(names)
    steps = _steps(law, names, values)
    score = np.empty((replicas, levels, k))
    sums = np.empty(k)  # mean log-likelihood one step up plus one step down
    for i, name in enumerate(names):
        up, down = (np.asarray(_moved(law, {name: h}).logpdf(values)) for h in (steps[i], -steps[i]))
        score[:, :, i] = (up - down) / (2 * steps[i])
        sums[i] = up.mean() + down.mean()
    center = 2 * log_likelihood.mean() / levels
    information = np.diag((center - sums) / steps**2)
    for i in range(k):
        for j in range(i):
            both = sum(
                float(np.mean(_moved(law, {names[i]: sign * steps[i], names[j]: sign * steps[j]}).logpdf(values)))
                for sign in (1, -1)
            )
            information[i, j] = information[j, i] = (sums[i] + sums[j] - center - both) / (2 * steps[i] * steps[j])
    size = np.maximum([abs(getattr(law, name)) for name in names], np.std(values))
    products = np.einsum("rli,rlj->ij", score, score) / values.size
    inverse, undetermined = _inverse(information, products, size)
    scores = score.mean(axis=1)
    score_covariance = np.cov(scores, rowvar=False).reshape(k, k)
    covariance = inverse @ score_covariance @ inverse / replicas
    covariance[undetermined, undetermined] = math.inf
    newton = inverse @ scores.mean(axis=0)
    if np.any(np.abs(newton) > np.maximum(0.1 * np.sqrt(np.diag(covariance)), 1e-4 * size)):
        warnings.warn(
            f"the fit of {law} stopped short of the maximum of the likelihood: Newton's next step is "
            f"{dict(zip(names, newton, strict=True))}",
            RuntimeWarning,
            stacklevel=5,
        )
    effective = levels * float(np.trace(inverse @ score_covariance))
    return FittedLaw(law, names, covariance, log_likelihood, scores, inverse, effective)


def _inverse(information: np.ndarray, score_products: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse information on directions that change the density, and a mask of the parameters in the others.

    The difference of two equal scales of a two-species law, for example, changes the density in second order only:
    the score vanishes in that direction, and with it the mean product of scores (whose expectation is the
    information). `size` is the magnitude of each parameter; a regular one has scores of 1 / size or more.
    """
    root = np.maximum(np.sqrt(np.diag(score_products)), 0.3 / size)
    eigenvalues, vectors = np.linalg.eigh(score_products / np.outer(root, root))
    good = eigenvalues > 1e-5
    basis = vectors[:, good] / root[:, None]
    inverse = basis @ np.linalg.inv(basis.T @ information @ basis) @ basis.T
    return inverse, np.any(np.abs(vectors[:, ~good]) > 0.1, axis=1)


def _steps(law: Any, names: tuple[str, ...], x: np.ndarray) -> np.ndarray:
    """Choose steps for central differences: 1e-3 of the natural scale 1 / rms(score), which a cruder step finds.

    Second derivatives are then good to about 1e-6 (truncation) and 1e-10 (rounding), whatever the units. A
    few hundred of the points x are enough for that.
    """
    steps = []
    x = np.sort(x, axis=None)[:: 1 + x.size // 400]
    spread = float(np.std(x))
    for name in names:
        value = abs(getattr(law, name))
        step = max(1e-4 * (min(value, spread) or spread), 1e-9 * value)
        for _ in range(2):
            score = (np.asarray(_moved(law, {name: step}).logpdf(x)) - np.asarray(law.logpdf(x))) / step
            rms = math.sqrt(float(np.mean(score**2)))
            step = min(1e-3 / rms, 1e-2 * max(value, spread)) if 0 < rms < math.inf else step
        while not _is_allowed(law, {name: -step}):  # a width near zero, where the density hardly depends on it
            step /= 4
        steps.append(step)
    return np.array(steps)
