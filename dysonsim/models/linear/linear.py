"""Theory shared by the linear networks: a trained weight matrix W, a teacher, and a quadratic loss.

W <- W + alpha [ P (W_t - W) C + Z^T (1/|B|) sum_b eta_b x_b^T + A ],  P = Z^T Z,  C = (1/|B|) sum_b x_b x_b^T,
x_b ~ N(0, 1_n), eta_b ~ N(0, label_noise^2 1_q), A = gradient_noise/sqrt(|B|) S. For square W the matrix S is symmetric
with entry variances 1 off and 2 on the diagonal (the mean of |B| independent such matrices is A in law); for
rectangular W its entries are independent with variance 1. With E = W - W_t the update is linear in E, and its second
moments close: E[C_ki C_lj] is known for Gaussian x. TeacherStudent is the case Z = 1.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from ... import _checks
from ...backend import one_blas_thread
from .._spacing import mean_spacing, pair_moments
from ..closures import DysonTerms, check_closure
from ..optimizers import response
from ..optimizers.optimizer import PLAIN, Optimizer
from ..optimizers.stated import Stated
from .closure import linear_terms
from .frame import Frame, frame_of
from .response import Response, covariance_of, solve
from .training import LinearTraining

# What is stated of training by other optimizers than plain SGD.
UNDER_ADAM = (
    "fixed_point", "degenerate_groups", "stationary_widths", "mean_spacings", "singular_value_widths",
    "singular_value_spacings", "weight_covariance", "exact_two_by_two",
)  # fmt: skip
UNDER_ANY = (*UNDER_ADAM, "relaxation_rates", "relaxation", "max_learning_rate", "stability")


class LinearModel(LinearTraining):
    """Predictions of a linear network; subclasses are dataclasses with the fields below and `hessian`.

    All predictions are for fresh samples at every step. With a fixed data set of M samples they hold while alpha z^2
    M/|B| >> 1. Additive noise that repeats every M/|B| steps has the same stationary variance up to the factor (1 +
    q)/(1 - q), q = (1 - alpha z^2)^(M/|B|), if the ensemble runs over data sets as well.
    """

    optimizer: ClassVar[Optimizer] = PLAIN  # by which predictions are; `under` returns a model with another one

    def fixed_point(self) -> np.ndarray:
        """Squares of the teacher's singular values, ascending, shape (n,). W_t is the exact mean of W."""
        self._modes()
        return self._frame.xi**2

    def drift(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Drift K_i per SGD step, shape (n,), up to and including alpha^2.

        With xi = sqrt(x), e = xi - xi_t and P in the basis of the teacher's left singular vectors,
        K_i = -2 alpha xi_i P_ii e_i + alpha^2 {(P^2)_ii e_i^2 (1 + 1/|B|) + (1/|B|) [sum_m (P^2)_mm e_m^2
        + label_noise^2 tr P + gradient_noise^2 (p + 1, or p for rectangular W)]}.
        Exact for one step from a W that has the singular vectors of the teacher, level i with level i; with output
        layers whose P is not diagonal in that basis W leaves it during training.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        xi, e = self._displacement(x)
        frame, (p, n) = self._frame, self.weight_shape
        squared = np.einsum("ai,ai->i", self.hessian @ frame.left, self.hessian @ frame.left)
        variance = (
            squared * e**2
            + (squared * e**2).sum()
            + self.label_noise**2 * np.trace(self.hessian)
            + self.gradient_noise**2 * (p + (p == n))
        )
        return -2 * alpha * xi * np.diag(frame.hessian) * e + alpha**2 * (squared * e**2 + variance / batch)

    def noise(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Noise strengths g_ij per SGD step, shape (n, n), from data, label and gradient noise; g^2 to order alpha^2.

        g_ij^2 = (alpha^2/|B|) Var(xi_i G_ij + xi_j G_ji), 2 g_ii^2 = (alpha^2/|B|) Var(2 xi_i G_ii), G the gradient of
        one sample in the basis of the singular vectors. Same closure as `drift`.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        xi, e = self._displacement(x)
        frame, (p, n) = self._frame, self.weight_shape
        q = frame.hessian * e
        qq, diagonal = np.diag(q @ q.T), np.diag(q)
        own = qq[:, None] + q**2 + self.label_noise**2 * np.diag(frame.hessian)[:, None]  # Var G_ij
        pair = np.outer(diagonal, diagonal)  # Cov(G_ij, G_ji)
        if p == n:
            t = frame.left.T @ frame.right
            own = own + self.gradient_noise**2 * (1 + t**2)
            pair = pair + self.gradient_noise**2 * np.outer(np.diag(t), np.diag(t))
        else:
            own = own + self.gradient_noise**2
        own = xi[:, None] ** 2 * own
        g2 = own + own.T + 2 * np.outer(xi, xi) * pair
        # On the diagonal G_ij and G_ji are one variable: Var(2 xi G_ii) / 2 = 2 xi^2 Var G_ii
        g2[np.diag_indices(n)] = 2 * np.diag(own)
        return np.asarray(alpha * np.sqrt(g2 / batch))

    @one_blas_thread()
    def dyson_terms(self, learning_rate: float, batch_size: int, closure: str = "corrected") -> DysonTerms:
        """Drift, noise and repulsion of the singular values of W, `dysonsim.models.linear.closure`."""
        alpha, batch = self._rates(learning_rate, batch_size)
        return linear_terms(self, alpha, batch, check_closure(closure))

    def singular_value_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Stationary widths sigma_i of the singular values, shape (n,): exact variances of W, first order in E/xi.

        sigma_i^2 = Var of the diagonal entry i of E in the teacher's basis. For small alpha and gradient noise only,
        alpha gradient_noise^2/(|B| z_i^2) (1/(1 - alpha/2) for TeacherStudent); for label noise only,
        alpha label_noise^2/(2|B|), the same for all i. In a degenerate group the numbers belong to the species,
        ordered by ascending z^2 (the widest first), not to the sorted levels. Not valid for singular values that
        are not large compared with sigma_i; 0 for the levels that are identically 0 (more columns than rows).
        """
        response = self._response(*self._rates(learning_rate, batch_size))
        return np.sqrt([self._covariance(response, i, i, i, i) for i in range(self.n)])

    def stationary_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """2 xi_i times `singular_value_widths`, shape (n,); same order, so 0 where the fixed point is 0."""
        return 2 * self._frame.xi * self.singular_value_widths(learning_rate, batch_size)

    def singular_value_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Mean spacing of the singular values in every degenerate group, exact variances of W, first order in E/xi.

        For a pair that of sqrt(D^2 + Y^2), D = E_11 - E_22, Y = E_12 + E_21 (an elliptic integral; sqrt(pi) sigma for
        TeacherStudent). For m > 2 levels that of the GOE, which needs equal widths: ValueError otherwise. W is taken
        for Gaussian, which it is for alpha z^2/|B| -> 0: see `gaussian_error` for how far SGD is from it.
        """
        response = self._response(*self._rates(learning_rate, batch_size))
        covariance = partial(self._covariance, response)
        why = "z^2 differ, or the teacher is not symmetric"
        return np.array([mean_spacing(covariance, group, why) for group in self.degenerate_groups()])

    def mean_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Mean spacing of x in every degenerate group, 2 xi times `singular_value_spacings`; same order, Gaussian W."""
        xi = np.array([self._frame.xi[group[0]] for group in self.degenerate_groups()])
        return 2 * xi * self.singular_value_spacings(learning_rate, batch_size)

    def relaxation_rates(self, learning_rate: float) -> np.ndarray:
        """gamma_i = alpha z_i^2 per SGD step, shape (n,), z_i^2 the diagonal of P in the teacher's basis.

        One step multiplies the mean displacement by 1 - gamma_i, exactly if P is diagonal in that basis. The rates of a
        degenerate group are in the order of the species. A level whose fixed point is 0 decays as (1 - gamma_i)^2t, at
        the rate -2 log|1 - gamma_i|, where z_i^2 is an eigenvalue of P among the left null vectors of the teacher: the
        slowest for the highest level, and so on. Levels that are identically 0 (more columns than rows) have rate inf,
        as in `GaussianRBM`. Weight decay adds lambda to z_i^2; with momentum 1 - gamma_i is the factor of a step in the
        long run, m^(1/2) where the mean oscillates.
        """
        alpha = _checks.scale("learning_rate", learning_rate)
        kept = response.contraction(self.optimizer, self._curvatures, alpha)
        gamma = 1 - kept if self.optimizer.momentum else alpha * self._curvatures
        with np.errstate(divide="ignore"):
            rates = np.where(self._frame.xi > 0, gamma, -2 * np.log(kept))
        rates[: max(0, self.n - self.weight_shape[0])] = math.inf
        return np.asarray(rates)

    def relaxation(self, steps: np.ndarray, singular_values: np.ndarray, learning_rate: float) -> np.ndarray:
        """Mean path x_i(t) = [xi_t + (xi_0 - xi_t)(1 - gamma_i)^t]^2, shape (len(steps), n), species order.

        (1 - gamma)^t is the exact decay of SGD in steps of one, exp(-gamma t) its limit for small alpha z^2. Valid
        once W has the teacher's singular vectors, and up to the variance of the noise.

        Parameters
        ----------
        steps : int array, shape (T,)
            SGD steps t >= 0 since W had `singular_values` (the paper's time is alpha t).
        singular_values : array, shape (n,)
            Singular values xi_0 at t = 0, one for each level of `fixed_point`.
        learning_rate : float
            alpha.
        """
        want = "one or more whole numbers of SGD steps >= 0"
        times = np.atleast_1d(_checks.array("steps", steps, want, dimensions=(0, 1)))
        if not np.issubdtype(np.asarray(steps).dtype, np.integer) or (times < 0).any():
            raise ValueError(f"steps = {_checks.shown(steps)}: must be {want}")
        alpha = _checks.scale("learning_rate", learning_rate)
        start = _checks.array("singular_values", singular_values, f"{self.n} numbers, shape ({self.n},)")
        if start.shape != (self.n,) or (start < 0).any() or start.max() > 1e30:
            raise ValueError(f"singular_values = {start}: must be {self.n} numbers from 0 to 1e30, shape ({self.n},)")
        xi, _ = self._displacement(start**2)
        target = self._frame.xi
        with np.errstate(over="ignore"):
            decay = response.mean_path(self.optimizer, self._curvatures, alpha, times)
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the stability limit it goes to infinity
            moved = np.where(xi == target, 0.0, (xi - target) * decay)
            return np.asarray((target + moved) ** 2)

    def weight_covariance(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Exact stationary covariance E[(W - E W)_ai (W - E W)_bj], shape (p, n, p, n); without decay E W = W_t.

        Exact in alpha and |B|, data noise included, for fresh Gaussian samples. Takes 8 (p n)^2 bytes.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        identity, plus, minus, more = self._response(alpha, batch)
        _, basis = self._modes()
        p, n = self.weight_shape
        moment = np.zeros((p, n, p, n))
        for a in range(p):
            moment[a, :, a, :] = identity[a] * np.eye(n)
        if p == n:
            moment += np.einsum("ab,ib,ja->aibj", plus, basis, basis) + np.einsum("ab,ia,jb->aibj", minus, basis, basis)
        moment = moment if more is None else moment + more
        return np.einsum("ca,db,aibj->cidj", basis, basis, moment, optimize=True)

    def gaussian_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """For the spacing of a pair, leading order in alpha: -(alpha z_i^2/8|B|) s (2 - s), shape (n,).

        s is the share of label noise in the variance of W. The variances of W are exactly SGD's. What differs is the
        shape of their law: in that of the gap, by the fourth cumulant of eta x^T (+32 s^2) and the third cumulant of
        eta x^T, eta x^T and C (-64 s). Gradient noise is Gaussian already. This is for fresh samples. A fixed set of M
        samples, passed over many times in a relaxation time, repeats its cumulants and adds about +2/M (measured: 2.0
        (1)% at M = 80).

        Not valid for alpha z^2/|B| near 1, where the third cumulant of C matters in second order: for gradient noise
        alone (s = 0), a TeacherStudent at |B| = 1, measured -0.4 (1)% at alpha = 0.1 and -5.5 (2)% at 0.35.

        This compares Langevin with SGD, not with `mean_spacings`, which takes W to be Gaussian. C multiplies W and
        gives it a wider law: with gradient noise alone SGD's mean spacing is about alpha z^2/(8|B|) below
        `mean_spacings` in first order, with label noise alone it is not (same model, |B| = 1, measured: -0.9 (1) and
        0.0 (1)% at alpha = 0.1, -5.1 (1) and -8.0 (1)% at 0.35).
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        z2 = np.diag(self._frame.hessian)
        p, n = self.weight_shape
        label = self.label_noise**2 * z2
        noise = label + (2 if p == n else 1) * self.gradient_noise**2
        share = np.divide(label, noise, out=np.zeros(n), where=noise > 0)
        return np.asarray(-alpha * z2 / (8 * batch) * share * (2 - share))

    def asymmetry_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """0, shape (groups,): E, label and gradient noise have symmetric laws, in SGD and in Langevin."""
        self._rates(learning_rate, batch_size)
        return np.zeros(len(self.degenerate_groups()))

    def exact_two_by_two(self, learning_rate: float, batch_size: int) -> tuple[float, float, float]:
        """Return the standard deviations (std11, std22, std12) of the symmetric 2 x 2 Gaussian matrix behind W - W_t.

        For a 2 x 2 teacher xi 1 the singular values of W are those of xi + (E + E^T)/2 to first order in E/xi, and in
        the eigenbasis of Z^T Z (z^2 ascending: std11 >= std22 for gradient noise) that matrix has these entries.
        E_12 and E_21 relax at different rates but share their noise; leading order
        std12^2 = (alpha gradient_noise^2/4|B|) [1/(2 z_1^2) + 1/(2 z_2^2) + 2/(z_1^2 + z_2^2)]. The entries are taken
        as independent: data noise correlates the diagonal ones at relative order alpha/|B|, which is left out.
        ValueError for other teachers.
        """
        xi = float(self.mean_weights[0, 0])
        if (
            self.weight_shape != (2, 2)
            or not np.allclose(self.mean_weights, xi * np.eye(2), rtol=0, atol=1e-9 * abs(xi))
            or xi == 0
        ):
            raise ValueError(f"teacher = {self.teacher.tolist()}: must be a non-zero multiple of the 2 x 2 unit matrix")
        response = self._response(*self._rates(learning_rate, batch_size))
        var11, var22 = (self._covariance(response, i, i, i, i) for i in (0, 1))
        _, var_y, _ = pair_moments(partial(self._covariance, response), 0, 1)
        return math.sqrt(var11), math.sqrt(var22), math.sqrt(var_y) / 2

    def max_learning_rate(self, batch_size: int) -> float:
        """2/(z_max^2 (1 + (n + 1)/|B|)): exact limit of mean-square stability with fresh Gaussian samples.

        Above it E||W - W_t||^2 grows: a row with z multiplies it by 1 - 2 g + g^2 (1 + (n + 1)/|B|), g = alpha z^2.
        With momentum and weight decay the limit is that of `models.optimizers.response.largest_rate`, as exact. With a
        fixed data set the limit depends on the set and is not this one.
        """
        batch = self.check_batch_size(batch_size)
        z2_max, decay = float(self._hessian_modes[0][-1]), self.optimizer.weight_decay
        if not self.optimizer.plain:
            return response.largest_rate(self.optimizer, z2_max + decay, z2_max**2 * (self.n + 1) / batch)
        return 2 / (z2_max * (1 + (self.n + 1) / batch)) if z2_max > 0 else math.inf

    def stability(self, learning_rate: float, batch_size: int) -> str:
        """Sentence for error messages."""
        alpha, batch = self._rates(learning_rate, batch_size)
        limit = self.max_learning_rate(batch)
        how = (
            f", 2/(z_max^2 (1 + (n + 1)/batch_size)) with z_max^2 the largest eigenvalue of Z^T Z and n = {self.n} "
            "inputs"
            if self.optimizer.plain
            else f" with {self.optimizer}"
        )
        return (
            f"learning_rate = {alpha:g} is {'above' if alpha >= limit else 'below'} the limit {limit:.4g} of "
            f"mean-square stability at batch_size = {batch}{how}"
        )

    def under(self, optimizer: Optimizer) -> Any:
        """Return what is stated of training by an optimizer: all that follows from the second moments of W."""
        if optimizer.plain:
            return self
        model = dataclasses.replace(self)  # type: ignore[type-var]
        object.__setattr__(model, "optimizer", optimizer)
        return Stated(model, optimizer, UNDER_ADAM if optimizer.adam else UNDER_ANY)

    @cached_property
    def mean_weights(self) -> np.ndarray:
        """E W, (p, n): the teacher, or with weight decay (P + lambda)^-1 P W_t."""
        decay = self.optimizer.weight_decay
        if not decay:
            return self.teacher
        return np.linalg.solve(self.hessian + decay * np.eye(len(self.hessian)), self.hessian @ self.teacher)

    @property
    def _curvatures(self) -> np.ndarray:
        """Curvature of the loss along each level, (n,)."""
        return np.asarray(np.diag(self._frame.hessian) + self.optimizer.weight_decay)

    @cached_property
    @one_blas_thread()
    def _frame(self) -> Frame:
        return frame_of(self.mean_weights, self.hessian)

    def _displacement(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of W and their distance to the teacher's, shape (n,); 0 for levels that are identically 0."""
        xi = np.sqrt(self._levels(x))
        always_zero = max(0, self.n - self.weight_shape[0])
        if (xi[:always_zero] > 0).any():
            raise ValueError(f"x = {xi**2}: W has {self.weight_shape[0]} rows, so the first {always_zero} levels are 0")
        return xi, xi - self._frame.xi

    @cached_property
    @one_blas_thread()
    def _hessian_modes(self) -> tuple[np.ndarray, np.ndarray]:
        z2, basis = np.linalg.eigh(self.hessian)
        return z2, basis

    def _modes(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues z^2 (ascending) and eigenvectors (columns) of P, all z^2 > 0."""
        z2, basis = self._hessian_modes
        if z2[0] <= 1e-12 * z2[-1] and not self.optimizer.weight_decay:
            raise ValueError(
                f"output_layer: Z^T Z has eigenvalues {z2[0]:.3g} to {z2[-1]:.3g}: parts of W never reach the output, "
                f"so there is no fixed point to predict; predictions need Z of full column rank"
            )
        return z2, basis

    def _response(self, alpha: float, batch: int) -> Response:
        """Solve for the stationary second moments; ValueError if there are none."""
        if not self.optimizer.adam:  # whose rates fall where gradients grow
            limit = self.max_learning_rate(batch)
            if alpha >= limit:
                raise ValueError(
                    f"learning_rate = {alpha:g}: must be < {limit:.6g} for a stationary state: "
                    f"{self.stability(alpha, batch)}"
                )
        return solve(self, self._modes(), alpha, batch)

    def _covariance(self, response: Response, i: int, j: int, k: int, m: int) -> float:
        """Stationary Cov(F_ij, F_km) of F = left^T (W - E W) right, the displacement in the basis of the levels."""
        return covariance_of(response, self._modes()[1], self._frame, (i, j, k, m))
