"""Predictions for a deep linear network, near its fixed point and on the way there.

See `factors` for the curvature h_ij, `covariance` for the stationary second moments of the product P = W_L ... W_1,
`curves` for learning. F = P - W_t is meant in the teacher's singular vectors, the largest singular value first, where
not said otherwise; levels are in ascending order, as everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ... import _checks
from ...backend import one_blas_thread
from .._groups import level_groups
from .._spacing import mean_spacing
from ..base import Model
from ..closures import DysonTerms, check_closure
from ..optimizers.optimizer import PLAIN, Optimizer
from ..optimizers.stated import Stated
from . import curves, motion
from .closure import deep_terms
from .covariance import Noise, Product, leading_variances, limit
from .decay import WithDecay
from .factors import Factors, balanced, flattest

__all__ = ["DeepTheory"]

MOST_STEPS = 10**6  # of a learning curve
_ZERO = 1e-9  # singular values of a teacher below this times the largest count as 0
WHEN = ("early", "late")
# What is stated of training by other optimizers than plain SGD.
UNDER_MOMENTUM = (
    "fixed_point", "degenerate_groups", "curvature", "product_variances", "weight_covariance", "singular_value_widths",
    "stationary_widths", "singular_value_spacings", "mean_spacings", "relaxation_rates", "max_learning_rate",
    "stability",
)  # fmt: skip
UNDER_DECAY = ("fixed_point", "degenerate_groups", "relaxation_rates", "singular_value_widths", "stationary_widths")


class DeepTheory(Model):
    """Predictions of a deep linear network, a dataclass with these fields.

    For batches of new samples, all kinds of noise, and layers that are balanced ("early", see `DeepLinearNetwork`) or,
    by ``when="late"``, flattest, where label noise leads them. Exact in alpha and |B| as far as P moves linearly about
    the fixed point, where not said otherwise: corrections are of relative order alpha noise^2/(|B| s).
    """

    teacher: np.ndarray
    widths: tuple[int, ...]
    label_noise: float
    gradient_noise: float
    product_noise: float
    init: str
    trained: tuple[bool, ...] | None
    optimizer: ClassVar[Optimizer] = PLAIN  # of a copy that `under` makes

    def under(self, optimizer: Optimizer) -> Any:
        """Return what is stated of training by an optimizer.

        With momentum all second moments, exact as those of plain SGD. With weight decay, to leading order in alpha and
        for batches of label noise, what becomes of the singular values, u^(L-2) (s - u^L) = weight_decay.
        """
        if optimizer.plain:
            return self
        if optimizer.adam:
            return Stated(self, optimizer, ())
        if optimizer.weight_decay > 0:
            return Stated(WithDecay(self, optimizer), optimizer, UNDER_DECAY)
        model = dataclasses.replace(self)  # type: ignore[type-var]
        object.__setattr__(model, "optimizer", optimizer)
        return Stated(model, optimizer, UNDER_MOMENTUM)

    @cached_property
    @one_blas_thread()
    def _values(self) -> np.ndarray:
        """Singular values of the teacher, descending, (r,); those that are 0 up to rounding are 0."""
        values = np.linalg.svd(self.teacher, compute_uv=False)
        return np.where(values > _ZERO * values[0], values, 0.0)

    @cached_property
    def _trained(self) -> np.ndarray:
        return np.array([True] * (len(self.widths) + 1) if self.trained is None else self.trained)

    def _start(self, decay: float = 0.0) -> np.ndarray:
        """Singular values (L, r) of balanced layers of the fixed point, with weight decay of what it becomes."""
        s, many = self._values, int(self._trained.sum())
        still = s ** (1 / len(self._trained))
        u = curves.shrunk(s, still ** (len(self._trained) - many), many, decay)
        return np.where(self._trained[:, None], u, still)

    def _factors(self, when: str = "early", xi: np.ndarray | None = None) -> Factors:
        """Return layers of the fixed point, or of a product with singular values xi (r,)."""
        _checks.choice("when", when, WHEN)
        outputs, inputs = self.weight_shape
        everything = bool(self._trained.all())
        if when == "late":
            if not everything or self.gradient_noise > 0 or (self.product_noise > 0 and outputs == inputs):
                raise NotImplementedError(
                    "when = 'late': where label noise, or independent noise of the product, leads all layers is known, "
                    f"not where the layers of {self} end"
                )
            return flattest(self._values, len(self._trained), outputs, inputs)
        if not everything and self.init != "balanced":
            raise NotImplementedError(
                f"{self}: layers that are not trained stay where init = {self.init!r} puts them, predictions are for "
                "init = 'balanced'"
            )
        return balanced(self._values if xi is None else xi, self._values, self._trained, outputs, inputs)

    @cached_property
    @one_blas_thread()
    def _noise(self) -> Noise:
        p, n = self.weight_shape
        left, _, right = np.linalg.svd(self.teacher)
        overlap = left.T @ right.T if p == n and self.product_noise > 0 else None
        return Noise(self.label_noise**2, self.gradient_noise**2, self.product_noise**2, overlap)

    def _moments(self, learning_rate: float, batch_size: int, when: str) -> Product:
        """Return stationary second moments of F; ValueError if there is no stationary state."""
        alpha, batch = self._rates(learning_rate, batch_size)
        h = self._factors(when).curvature
        largest = limit(h, batch, self.optimizer)
        if alpha >= largest:
            raise ValueError(
                f"learning_rate = {alpha:g}: must be < {largest:.6g} for a stationary state: "
                f"{self.stability(alpha, batch)}"
            )
        return Product(h, alpha, batch, self._noise, self.optimizer)

    def _direction(self, level: int) -> int:
        return self.n - 1 - level

    def _numbered(self, layer: int) -> int:
        return _checks.integer("layer", layer, 0, len(self._trained) - 1)

    def _of_levels(self, values: np.ndarray, always_zero: float = 0.0) -> np.ndarray:
        """Numbers of directions (..., r) as those of ascending levels (..., n)."""
        out = np.full((*values.shape[:-1], self.n), always_zero)
        out[..., self.n - values.shape[-1] :] = values[..., ::-1]
        return out

    def fixed_point(self) -> np.ndarray:
        """Squares of the teacher's singular values, ascending, shape (n,)."""
        self._factors()
        return self._of_levels(self._values**2)

    def curvature(self, when: str = "early") -> np.ndarray:
        """Return h_ij, shape (p, n): a deviation F_ij decays at the rate alpha h_ij; largest singular values first.

        Early, with balanced layers that are all trained, h_ij = sum_l s_i^(2(L-l)/L) s_j^(2(l-1)/L), so that h_ii = L
        s_i^(2-2/L). Late: kappa s_i + s_j/kappa for two layers, kappa = sqrt(p/n); for more mu^(L-2) [s_j sqrt(n/p) +
        s_i sqrt(p/n)] + (L - 2) s_i s_j/mu^2, mu^L = sum s/sqrt(n p).
        """
        return self._factors(when).curvature.copy()

    def max_learning_rate(self, batch_size: int) -> float:
        """Limit of mean-square stability of the product at the fixed point, for balanced layers.

        The largest alpha with max_i sum_j alpha h_ij/(|B| [2 - alpha h_ij (1 + 1/|B|)]) < 1. On the way there a network
        that starts far from balance can be unstable below it.
        """
        return limit(self._factors().curvature, self.check_batch_size(batch_size), self.optimizer)

    def stability(self, learning_rate: float, batch_size: int) -> str:
        """Sentence for error messages."""
        alpha, batch = self._rates(learning_rate, batch_size)
        try:
            largest = self.max_learning_rate(batch)
        except NotImplementedError:
            return super().stability(alpha, batch)
        return (
            f"learning_rate = {alpha:g} is {'above' if alpha >= largest else 'below'} the limit {largest:.4g} of "
            f"mean-square stability at batch_size = {batch} for balanced layers at the fixed point"
        )

    def relaxation_rates(self, learning_rate: float) -> np.ndarray:
        """Alpha h_ii per SGD step, shape (n,), alpha L s^(2-2/L) if all layers are trained; to first order in alpha.

        0 for levels whose fixed point is 0 in two layers or more, which decay as a power of time; inf for levels that
        are identically 0.
        """
        alpha = _checks.scale("learning_rate", learning_rate)
        rates = alpha / (1 - self.optimizer.momentum) * np.diag(self._factors().curvature)
        return self._of_levels(rates, math.inf)

    def relaxation(self, steps: np.ndarray, singular_values: np.ndarray, learning_rate: float) -> np.ndarray:
        """Path x_i(t) of balanced layers aligned with the teacher, shape (len(steps), n), without noise; exact.

        One step is u <- u + alpha u^(L-1) (s - u^L), x = u^2L. See `Theory.relaxation` for the arguments.
        """
        values = _checks.array("singular_values", singular_values, f"{self.n} numbers, shape ({self.n},)")
        if values.shape != (self.n,) or (values < 0).any() or (values[: self.n - len(self._values)] > 0).any():
            raise ValueError(
                f"singular_values = {values}: must be {self.n} numbers >= 0, 0 where W has no level, shape ({self.n},)"
            )
        factors = self._factors(xi=values[::-1][: len(self._values)])
        u = factors.layers[np.argmax(self._trained)]
        learned = self._learned(steps, u, learning_rate, self._still(factors.layers))
        with np.errstate(over="ignore"):
            return learned**2

    def learning_curve(self, steps: np.ndarray, learning_rate: float, init_scale: float = 0.1) -> np.ndarray:
        """Return singular values of P after `steps` of SGD from init="small", without noise, shape (len(steps), n).

        One step is u <- u + alpha u^(L-1) (s - u^L) for the singular values u of each layer, u_0 = init_scale: exact
        for the gradient of the population. With L >= 3 a plateau of about u_0^(2-L)/(alpha s (L-2)) steps comes first.
        Levels are in the order of `fixed_point`. Batches add noise, of relative order sqrt(alpha h/|B|).
        """
        scale = _checks.scale("init_scale", init_scale, zero=True)
        layers = np.full((len(self._trained), len(self._values)), scale)
        return self._learned(steps, layers[0], learning_rate, self._still(layers))

    def half_times(self, learning_rate: float, init_scale: float = 0.1) -> np.ndarray:
        """Return when the `learning_curve` of each level is half way, s/2, shape (n,), in steps of gradient flow.

        ln[(s - u_0^2)/u_0^2]/(2 alpha s) for two layers; inf for levels that never get there.
        """
        scale, alpha = _checks.scale("init_scale", init_scale, zero=True), _checks.scale("learning_rate", learning_rate)
        layers = np.full((len(self._trained), len(self._values)), scale)
        times = curves.half_times(layers[0], self._values, self._still(layers), int(self._trained.sum()), alpha)
        return self._of_levels(times, math.inf)

    def _still(self, layers: np.ndarray) -> np.ndarray:
        """Return the product of the layers that are not trained, (r,)."""
        return np.asarray(layers[~self._trained].prod(axis=0))

    def _learned(self, steps: np.ndarray, u: np.ndarray, learning_rate: float, still: np.ndarray) -> np.ndarray:
        want = "one or more whole numbers of SGD steps, from 0 to 1e6"
        times = np.atleast_1d(_checks.array("steps", steps, want, dimensions=(0, 1)))
        if not np.issubdtype(np.asarray(steps).dtype, np.integer) or (times < 0).any() or times.max() > MOST_STEPS:
            raise ValueError(f"steps = {_checks.shown(steps)}: must be {want}")
        alpha, many = _checks.scale("learning_rate", learning_rate), int(self._trained.sum())
        with np.errstate(over="ignore"):
            return self._of_levels(still * curves.path(u, self._values, still, many, alpha, times) ** many)

    def product_variances(
        self, learning_rate: float, batch_size: int, when: str = "early", leading: bool = False
    ) -> np.ndarray:
        """Return the stationary Var F_ij of the entries of the product, shape (p, n), largest singular values first.

        With label noise sigma alone V_ij [2 alpha h_ij - alpha^2 h_ij^2 (1 + 1/|B|)] - (alpha^2 h_ij^2/|B|) sum_k V_ik
        = alpha^2 h_ij^2 sigma^2/|B|; if all h are equal V = v h/(1 - alpha h c/2), v = alpha sigma^2/(2|B|), c = 1 +
        (n + 1)/|B|. Gradient noise eps puts alpha^2 h_ij eps^2/|B| on the right. leading: to leading order in alpha,
        (alpha/2|B|) (h_ij sigma^2 + eps^2).
        """
        if _checks.flag("leading", leading):
            alpha, batch = self._rates(learning_rate, batch_size)
            return leading_variances(
                self._factors(when).curvature, alpha / (1 - self.optimizer.momentum), batch, self._noise
            )
        return self._moments(learning_rate, batch_size, when).variances

    @one_blas_thread()
    def weight_covariance(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Stationary covariance E[(P - W_t)_ai (P - W_t)_bj] of the product, shape (p, n, p, n). 8 (p n)^2 bytes."""
        moments = self._moments(learning_rate, batch_size, when)
        left, _, right = np.linalg.svd(self.teacher)
        p = len(left)
        inside = np.array([[moments.rows(i, j) for j in range(p)] for i in range(p)])  # (i, j, k, l)
        return np.einsum("ai,bj,kc,ld,ijkl->acbd", left, left, right, right, inside, optimize=True)

    def singular_value_widths(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Stationary widths sqrt(Var F_ii) of the singular values of P, shape (n,); see `product_variances`.

        0 for levels that are identically 0. Not valid for singular values that are not large compared with the widths.
        """
        variances = self.product_variances(learning_rate, batch_size, when)
        return self._of_levels(np.sqrt(np.diag(variances)))

    def stationary_widths(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """2 s_i times `singular_value_widths`, shape (n,)."""
        widths = self.singular_value_widths(learning_rate, batch_size, when)
        return 2 * self._of_levels(self._values) * widths

    def singular_value_spacings(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Mean spacing of the singular values of P in every degenerate group, for Gaussian F: sqrt(pi Var F) of a pair.

        For m > 2 levels that of the GOE.
        """
        moments = self._moments(learning_rate, batch_size, when)

        def covariance(i: int, j: int, k: int, m: int) -> float:
            return moments.covariance(*map(self._direction, (i, j, k, m)))

        return np.array([mean_spacing(covariance, group, "curvatures differ") for group in self.degenerate_groups()])

    def mean_spacings(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Mean spacing of x in every degenerate group, 2 s times `singular_value_spacings`."""
        s = np.sqrt([self.fixed_point()[group[0]] for group in self.degenerate_groups()])
        return np.asarray(2 * s * self.singular_value_spacings(learning_rate, batch_size, when))

    def singular_value_shift(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Stationary mean of the singular values of P minus the teacher's, shape (n,), to order alpha noise^2/|B|.

        Averaged over each group. The mean of F_ii, from layers that move together, and the repulsion of the levels;
        with two balanced layers of a square network E xi_i = s_i + v [-n + sum_k s_i/(s_i - s_k)], a degenerate partner
        counting 1/2. NotImplementedError for teachers with singular values 0.
        """
        return motion.singular_value_shift(self, learning_rate, batch_size, when)

    def mean_shift(self, learning_rate: float, batch_size: int, when: str = "early") -> np.ndarray:
        """Stationary mean of the eigenvalues minus the `fixed_point`, shape (n,); as `singular_value_shift`."""
        return motion.mean_shift(self, learning_rate, batch_size, when)

    def layer_singular_values(self, layer: int, when: str = "early") -> np.ndarray:
        """Return the singular values of a layer at the fixed point, ascending, (columns,): s^(1/L) if balanced."""
        return self._of_layer(layer, self._factors(when).layers[self._numbered(layer)])

    def layer_widths(self, learning_rate: float, batch_size: int, layer: int, when: str = "early") -> np.ndarray:
        """Stationary widths of the singular values of a layer, in the order of `layer_singular_values`.

        sqrt(v/L) for balanced layers and label noise to leading order. From deviations of the product alone: gradient
        noise lets balancedness, and with it the layers, diffuse without bound, which is not in here.
        """
        factors, at = self._factors(when), self._numbered(layer)
        size = len(self._values)
        h, push = np.diag(factors.curvature), factors.above[at, :size] * factors.below[at, :size]
        share = np.divide(push, h, out=np.zeros(size), where=h > 0) if self._trained[at] else np.zeros(size)
        variances = self.product_variances(learning_rate, batch_size, when)
        return self._of_layer(layer, share * np.sqrt(np.diag(variances)))

    def _of_layer(self, layer: int, values: np.ndarray) -> np.ndarray:
        """Numbers of directions (r,) as those of the ascending levels of a layer; zeros first."""
        rows, columns = self.layer_shapes[layer]
        out, size = np.zeros(columns), min(len(values), rows, columns)
        out[columns - size :] = values[:size][::-1]
        return out

    def balancing_rate(self, learning_rate: float, batch_size: int) -> float:
        """Return the rate per step at which label noise takes two layers to their flattest factors, to leading order.

        alpha^2 noise^2 sqrt(n p)/|B|, of the balancedness D = W_2^T W_2 - W_1 W_1^T from there (measured: 1.06 to 1.27
        times that for alpha h = 0.05 to 0.2). NotImplementedError for other numbers of layers and other noises.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        p, n = self.weight_shape
        self._factors("late")
        if len(self._trained) != 2:
            raise NotImplementedError(f"{self} states no balancing_rate: it is known for two layers")
        noise = self.label_noise**2 + self.product_noise**2
        return alpha**2 * noise * math.sqrt(n * p) / batch

    def drift(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Drift K_i per SGD step, shape (n,), up to and including alpha^2.

        With all layers' noises and the second order of the product in a step. Exact for one step from balanced layers
        that have the teacher's singular vectors, level i with level i.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        return self._of_levels(motion.drift(self, *self._placed(x), alpha, batch))

    def noise(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Noise strengths g_ij per SGD step, shape (n, n), from data and all noises; g^2 to order alpha^2.

        With e_i = xi_i - s_i and label noise alone g_ij^2 = (alpha^2/|B|) h_ij^2 [xi_i^2 (e_i^2 + sigma^2) + xi_j^2
        (e_j^2 + sigma^2) + 2 xi_i xi_j e_i e_j], g_ii^2 = (2 alpha^2/|B|) h_ii^2 xi_i^2 (2 e_i^2 + sigma^2). Same
        closure as `drift`.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        g2 = motion.noise(self, *self._placed(x), alpha, batch)
        return np.asarray(np.sqrt(g2)[::-1, ::-1])

    def _placed(self, x: Any) -> tuple[Factors, np.ndarray]:
        """Factors of balanced layers whose product has these levels, and its distance to the teacher (r,)."""
        values = np.sqrt(self._levels(x))
        count = len(self._values)
        if (values[: self.n - count] > 0).any():
            raise ValueError(f"x = {values**2}: P has {count} rows, so the first {self.n - count} levels are 0")
        xi = values[::-1][:count]
        return self._factors(xi=xi), xi - self._values

    def dyson_terms(self, learning_rate: float, batch_size: int, closure: str = "corrected") -> DysonTerms:
        """Drift, noise and repulsion of the singular values of P near the fixed point, `dysonsim.models.deep.closure`.

        NotImplementedError if the network does not start there: far from it levels do not move linearly.
        """
        corrected = check_closure(closure)
        if self.init != "balanced":
            raise NotImplementedError(
                f"init = {self.init!r}: Dyson Brownian motion of a deep network is known for init = 'balanced' alone"
            )
        return deep_terms(self, *self._rates(learning_rate, batch_size), corrected)

    def _groups(self) -> list[list[int]]:
        """Directions that share a singular value of the teacher, others alone."""
        together = [[self._direction(i) for i in group] for group in level_groups(self.fixed_point())]
        alone = set(range(len(self._values))) - {i for group in together for i in group}
        return [*together, *([i] for i in sorted(alone))]
