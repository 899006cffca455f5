"""Fluctuations of trained weights about the teacher, to first order in them, for any network with a quadratic loss.

At the teacher the loss of a sample has the Hessian h = J^T J, J the derivative of the outputs by the trained weights.
With displacements theta, H = E h, batches of |B| samples, and D the covariance of the noise of one sample's gradient,

    Sigma = (1 - alpha H) Sigma (1 - alpha H) + (alpha^2/|B|) [D + E(h Sigma h) - H Sigma H],
    D = label_noise^2 H + gradient_noise^2.

The mean over inputs x ~ N(0, 1) is one over 8192 points of a Sobol sequence, good to half a percent.
"""

from __future__ import annotations

import numpy as np

from ...backend import one_blas_thread

__all__ = ["MOST", "Fluctuations", "normal_points"]

POINTS = 13  # powers of two
MOST = 256  # trained weights; their covariance takes (weights)^2 numbers for each of some thousand points
FLAT = 1e-9  # of the largest curvature: a direction of less has none
CLOSE = 1e-10  # of the covariance, where its iteration ends


def normal_points(n: int) -> np.ndarray:
    """Return points (8192, n) that stand for standard normals, always the same."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    return np.asarray(ndtri(qmc.Sobol(n, scramble=True, seed=0).random_base2(POINTS) + 2.0**-31))


class Fluctuations:
    """What follows from the derivatives (samples, outputs, weights) of the outputs at the teacher.

    Attributes
    ----------
    curvatures : (weights,) array
        Eigenvalues of H, ascending; those of flat directions are 0.
    modes : (weights, weights) array
        Its eigenvectors, columns.
    """

    @one_blas_thread()
    def __init__(self, jacobians: np.ndarray) -> None:
        self._shape = jacobians.shape
        rows = jacobians.reshape(-1, jacobians.shape[2])
        curvatures, self.modes = np.linalg.eigh(rows.T @ rows / len(jacobians))
        self.curvatures = np.where(curvatures > FLAT * curvatures[-1], curvatures, 0.0)
        self._rows = rows @ self.modes

    @property
    def flat(self) -> int:
        """Number of directions without curvature, along which nothing holds the weights."""
        return int((self.curvatures == 0).sum())

    @one_blas_thread()
    def max_learning_rate(self, batch_size: int) -> float:
        """2 over the largest eigenvalue of H^-1/2 E h_B^2 H^-1/2, h_B the Hessian of a batch; inf if H is 0."""
        h = self.curvatures[self.curvatures > 0]
        if not len(h):
            return np.inf
        squares = self._twice(np.eye(len(self.curvatures)))[-len(h) :, -len(h) :]
        of_batch = np.diag(h) * (1 - 1 / batch_size) + squares / np.sqrt(np.outer(h, h)) / batch_size
        return float(2 / np.linalg.eigvalsh(of_batch)[-1])

    @one_blas_thread()
    def covariance(self, learning_rate: float, batch_size: int, noise: np.ndarray) -> np.ndarray:
        """Return the stationary Sigma, (weights, weights); noise: the diagonal of D in the modes.

        ValueError above `max_learning_rate`, or if there are flat directions.
        """
        from scipy.sparse.linalg import LinearOperator, gmres

        if self.flat:
            raise ValueError(
                f"{self.flat} of {len(self.curvatures)} directions of the trained weights are flat: nothing holds the "
                "weights along them, so that there is no stationary state to predict"
            )
        limit = self.max_learning_rate(batch_size)
        if learning_rate >= limit:
            raise ValueError(f"learning_rate = {learning_rate:g}: must be < {limit:.6g} for a stationary state")
        rate, h = learning_rate**2 / batch_size, self.curvatures
        pull = learning_rate * np.add.outer(h, h) - learning_rate**2 * (1 - 1 / batch_size) * np.outer(h, h)
        count = len(h)

        def without_kicks(sigma: np.ndarray) -> np.ndarray:
            there = sigma.reshape(count, count)
            return np.asarray(there - rate * self._twice(there) / pull).ravel()

        operator = LinearOperator((count**2, count**2), without_kicks, dtype=np.float64)
        sigma, failed = gmres(operator, (rate * np.diag(noise) / pull).ravel(), rtol=CLOSE)
        if failed:
            raise ValueError(f"learning_rate = {learning_rate:g}: no stationary state was found; take a smaller one")
        return np.asarray(self.modes @ sigma.reshape(count, count) @ self.modes.T)

    def _twice(self, sigma: np.ndarray) -> np.ndarray:
        """E(h Sigma h), in the modes."""
        rows = self._rows.reshape(self._shape)
        inner = (self._rows @ sigma).reshape(self._shape) @ rows.swapaxes(1, 2)  # J Sigma J^T
        return np.asarray(self._rows.T @ (inner @ rows).reshape(self._rows.shape) / self._shape[0])
