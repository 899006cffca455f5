"""What every law offers: the interface of scipy.stats distributions on frozen, validated parameters."""

from __future__ import annotations

import dataclasses
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from . import _defaults
from ._numerics import LARGEST, real


@dataclasses.dataclass(frozen=True)
class Law(ABC):
    """A probability law of one real variable. Its dataclass fields are its parameters.

    The methods follow scipy.stats: they work on an array of any shape and return float64, a scalar gives a
    float, NaN gives NaN, and probabilities outside [0, 1] give NaN. `law.cdf` can be handed to
    scipy.stats.kstest. An instance iterates over its parameters: ``loc, scale = TwoLevel.fit(x)``.

    A new law is a frozen dataclass that names its fields in `shape` and `_positive` and supplies `support`, `_logpdf`
    and `_cdf`. The rest is derived from these by numerical methods, until the law supplies what is faster or more
    accurate: `_sf` (here 1 - cdf, of no relative accuracy in the right tail), `_ppf`, `_isf`, `_sample`, `mean`, `var`
    and `_estimate`. The underscored ones receive flat float64 arrays that lie inside the support (probabilities:
    strictly between 0 and 1). A law that is symmetric about its parameter `loc` has a base of its own: see
    `SymmetricLaw`. One that is not continuous says so in `atoms`, `log_terms` and `read`. Parameters and data are
    bounded by 1e100, widths from below by 1e-100, so that squares are floats; no method raises or warns of
    floating-point errors, whatever numpy.seterr says.

    Examples
    --------
    >>> import math
    >>> from dataclasses import dataclass
    >>> import numpy as np, dysonsim as ds
    >>> @dataclass(frozen=True)
    ... class Exponential(ds.laws.Law):
    ...     scale: float = 1.0
    ...     shape = ("scale",)
    ...     _positive = ("scale",)
    ...
    ...     def support(self):
    ...         return 0.0, math.inf
    ...
    ...     def _logpdf(self, x):
    ...         return -x / self.scale - math.log(self.scale)
    ...
    ...     def _cdf(self, x):
    ...         return -np.expm1(-x / self.scale)
    >>> round(Exponential(2.0).mean(), 4)
    2.0
    """

    shape: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that `fit` estimates unless they are held fixed."""
    _positive: ClassVar[tuple[str, ...]] = ()
    _far: ClassVar[float] = LARGEST**2
    """Beyond, no method is asked: x is replaced by this, so that x over a width is still a float."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, self._checked(field.name, getattr(self, field.name)))

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        return real(name, value, above=0.0 if name in cls._positive else -math.inf)

    # ---- parameters ------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, float]:
        """Name and value of every parameter, in the order of the constructor."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __iter__(self) -> Iterator[float]:
        """Yield the values of `parameters`, so that a law can be unpacked."""
        return iter(self.parameters.values())

    def replace(self, **changes: float) -> Self:
        """Return the same law with some parameters changed; ValueError for a name that is not a parameter."""
        self._check_names(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def _check_names(cls, given: Mapping[str, Any]) -> None:
        allowed = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in allowed:
                raise ValueError(f"{name} is no parameter of {cls.__name__}: must be one of {', '.join(allowed)}")

    # ---- the law ---------------------------------------------------------------------------------

    def support(self) -> tuple[float, float]:
        """Return the smallest interval that holds all of the probability."""
        return -math.inf, math.inf

    def pdf(self, x: ArrayLike) -> Any:
        """Probability density at x."""
        return self._inside_support(self._pdf, x, 0.0, 0.0)

    def logpdf(self, x: ArrayLike) -> Any:
        """Natural logarithm of the density; finite in the tails where the density itself underflows."""
        return self._inside_support(self._logpdf, x, -math.inf, -math.inf)

    def cdf(self, x: ArrayLike) -> Any:
        """P(X <= x), to full relative accuracy in the left tail, in [0, 1]."""
        return self._inside_support(lambda y: np.clip(self._cdf(y), 0.0, 1.0), x, 0.0, 1.0)

    def sf(self, x: ArrayLike) -> Any:
        """P(X > x), to full relative accuracy in the right tail: not computed as 1 - cdf; in [0, 1]."""
        return self._inside_support(lambda y: np.clip(self._sf(y), 0.0, 1.0), x, 1.0, 0.0)

    def ppf(self, q: ArrayLike) -> Any:
        """Return the inverse of `cdf`, inside the support; ppf(0) and ppf(1) are its ends."""
        low, high = self.support()
        return self._inside_unit(lambda p: np.clip(self._ppf(p), low, high), q, low, high)

    def isf(self, q: ArrayLike) -> Any:
        """Return the inverse of `sf`; more accurate than ppf(1 - q) in the right tail."""
        low, high = self.support()
        return self._inside_unit(lambda p: np.clip(self._isf(p), low, high), q, high, low)

    def mean(self) -> float:
        """Return the expectation."""
        return _defaults.moment(self, 1, 0.0)

    def var(self) -> float:
        """Variance."""
        return _defaults.moment(self, 2, self.mean())

    def std(self) -> float:
        """Return the standard deviation."""
        return math.sqrt(self.var())

    def median(self) -> float:
        """Return the point with half of the probability below it."""
        return float(self.ppf(0.5))

    def rvs(self, size: int | tuple[int, ...] | None = None, random_state: Any = None) -> Any:
        """Independent random variates, drawn by the construction that defines the law where it states one.

        Parameters
        ----------
        size : int, tuple of int or None
            None gives one float.
        random_state : None, int, numpy.random.SeedSequence or numpy.random.Generator
            Whatever numpy.random.default_rng accepts.
        """
        rng = _checks.generator(random_state)
        shape = (1,) if size is None else _checks.size(size)
        with np.errstate(all="ignore"):  # whoever turned warnings into errors did not mean an underflow to 0
            sample = self._sample(math.prod(shape), rng)
        return float(sample[0]) if size is None else sample.reshape(shape)

    # ---- data ------------------------------------------------------------------------------------

    def loglikelihood(self, data: ArrayLike) -> float:
        """Sum of `log_terms` over the data; -inf if any lies outside the support. ValueError as in `fit`."""
        return float(np.sum(self.log_terms(self.read(finite_data(data))[0])))

    def log_terms(self, x: ArrayLike) -> Any:
        """Return what each datum adds to the log-likelihood: logpdf, or the logarithm of the weight of an atom."""
        return self.logpdf(x)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(point, probability) of every single point that has a probability; empty for a continuous law."""
        return ()

    @classmethod
    def read(cls, x: np.ndarray) -> tuple[np.ndarray, str]:
        """Return the data as laws of this class read them, and a sentence about what was changed ("" for nothing).

        A law with an atom sets to it what differs from it by the rounding of whatever computed the data.
        """
        return x, ""

    @classmethod
    def fit(cls, data: ArrayLike, **fixed: float) -> Self:
        """Maximum-likelihood estimate of the parameters in `shape`.

        Standard errors, and p-values that know that parameters were fitted, come from `dysonsim.compare`. The
        data are treated as independent; several levels of one matrix are not, which leaves the estimate
        consistent but makes naive errors wrong.

        Parameters
        ----------
        data : array of any shape
            Read as one flat sample.
        **fixed : float
            Parameters to hold at a given value.

        Returns
        -------
        An instance of the class, which can be unpacked: ``loc, scale = TwoLevel.fit(x)``.

        Raises
        ------
        ValueError
            No data, data that are not finite or lie outside the support, data without spread, an unknown
            name in `fixed` or a value that is not allowed there, nothing left to fit.

        Warns
        -----
        RuntimeWarning
            Data were read as an atom of the law, or a few of them alone decide the estimate.
        """
        cls._check_names(fixed)
        fixed = {name: cls._checked(name, value) for name, value in fixed.items()}
        if all(name in fixed for name in cls.shape):
            raise ValueError(f"all of {', '.join(cls.shape)} are fixed: leave at least one parameter to fit")
        x, changed = cls.read(finite_data(data))
        with np.errstate(all="ignore"):
            law = cls(**{**fixed, **cls._estimate(x, fixed)})
            doubt = law._doubt(x, fixed)
        for note in (changed, doubt):
            if note:
                warnings.warn(f"{cls.__name__}.fit: {note}", RuntimeWarning, stacklevel=2)
        return law

    # ---- what a law supplies ---------------------------------------------------------------------

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return np.exp(self._logpdf(x))

    def _doubt(self, x: np.ndarray, fixed: dict[str, float]) -> str:
        """Say what to warn of when this law was fitted to these data; "" for nothing."""
        return ""

    @abstractmethod
    def _logpdf(self, x: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _cdf(self, x: np.ndarray) -> np.ndarray: ...

    def _sf(self, x: np.ndarray) -> np.ndarray:
        return 1.0 - self._cdf(x)

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return _defaults.quantile(self, np.log(q), np.log1p(-q))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return _defaults.quantile(self, np.log1p(-q), np.log(q))

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return self._ppf(rng.uniform(1e-16, 1.0, size))

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Return the fitted parameters by name (those in `shape` and not in `fixed`)."""
        return _defaults.estimate(cls, x, fixed)

    # ---- arrays in, arrays out -------------------------------------------------------------------

    def _inside_support(
        self, function: Callable[[np.ndarray], np.ndarray], x: ArrayLike, below: float, above: float
    ) -> Any:
        values = _checks.array("x", x, finite=False, empty=True)
        low, high = self.support()
        inside = (values >= low) & (values <= high) & np.isfinite(values)
        # what is left of the support is below; what is not inside otherwise is above (or not a number)
        result = np.where((values < low) | (values == -math.inf), below, above)
        result[np.isnan(values)] = np.nan
        if inside.any():
            with np.errstate(all="ignore"):  # a density that underflows is 0, and log 0 is -inf
                result[inside] = function(np.clip(values[inside], -self._far, self._far))
        return float(result) if values.ndim == 0 else result

    def _inside_unit(
        self, function: Callable[[np.ndarray], np.ndarray], q: ArrayLike, at_zero: float, at_one: float
    ) -> Any:
        values = _checks.array("q", q, finite=False, empty=True)
        result = np.full(values.shape, np.nan)
        result[values == 0.0] = at_zero
        result[values == 1.0] = at_one
        inside = (values > 0.0) & (values < 1.0)
        if inside.any():
            with np.errstate(all="ignore"):
                result[inside] = function(values[inside])
        return float(result) if values.ndim == 0 else result


def finite_data(data: ArrayLike) -> np.ndarray:
    """Check data, and return them as a flat float64 array; they must be real, finite and not too large."""
    x = _checks.array("data", data, "one or more real numbers").ravel()
    if np.abs(x).max() > LARGEST:
        where = int(np.abs(x).argmax())
        raise ValueError(
            f"data[{where}] = {x[where]:g}: squares would overflow, must be at most {LARGEST:g} in size; "
            "change the units"
        )
    return x
