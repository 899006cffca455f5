"""Levels of matrices: the singular values of weights."""

from __future__ import annotations

import numpy as np

from .. import _checks
from ..backend import jit_disabled, one_blas_thread
from ..kernels.common import singular

__all__ = ["singular_values"]

# Entries of a matrix up to which eight in lanes (backend/many_levels.py) take less time than eight calls of LAPACK:
# they leave the second-level cache. The choice is by shape alone, so that the result does not depend on the company.
MOST_ENTRIES = 10_000
TWO_BY_TWO = (2, 2)  # these have a formula


def singular_values(weights: np.ndarray) -> np.ndarray:
    """Square roots of the eigenvalues of W^T W.

    Parameters
    ----------
    weights : (..., p, n) array

    Returns
    -------
    (..., n) array of float64
        Ascending; where n > p the first n - p are zero. Good to a few roundings of the largest. The result for one
        matrix is the same, bit for bit, whatever others there are.

    Raises
    ------
    TypeError, ValueError
        For what is not real, not finite, or has less than two dimensions.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> print(ds.singular_values(np.diag([3.0, 1.0, 2.0])).round(3))
    [1. 2. 3.]
    """
    w = _checks.array("weights", weights, "real matrices, shape (..., p, n)", empty=True)
    if w.ndim < 2:
        raise ValueError(f"weights have shape {w.shape}: must be real matrices, shape (..., p, n)")
    p, n = w.shape[-2:]
    with np.errstate(over="ignore"):
        found = _singular_values(w, p, n)
    if not np.isfinite(found).all():
        raise ValueError("weights: their singular values are too large for a float")
    if n <= p:
        return found
    values = np.zeros((*w.shape[:-2], n))
    values[..., n - p :] = found
    return values


def _singular_values(w: np.ndarray, p: int, n: int) -> np.ndarray:
    """Return the min(p, n) singular values of finite matrices (..., p, n)."""
    if (p, n) == TWO_BY_TWO:
        a, b, c, d = w[..., 0, 0], w[..., 0, 1], w[..., 1, 0], w[..., 1, 1]
        # halved first, so that nothing overflows on the way
        sum_, difference = np.hypot(a / 2 + d / 2, b / 2 - c / 2), np.hypot(a / 2 - d / 2, b / 2 + c / 2)
        return np.stack([np.abs(sum_ - difference), sum_ + difference], axis=-1)
    if w.size > 0 and takes_lanes(p, n) and not jit_disabled():
        return in_lanes(w.reshape(-1, p, n)).reshape(*w.shape[:-2], min(p, n))
    with one_blas_thread():
        return np.linalg.svd(w, compute_uv=False)[..., ::-1]


def takes_lanes(p: int, n: int) -> bool:
    """Whether `singular_values` of p x n matrices come from `in_lanes`."""
    return (p, n) != TWO_BY_TWO and p * n <= MOST_ENTRIES


def in_lanes(w: np.ndarray, sweeps: int = singular.SWEEPS) -> np.ndarray:
    """Ascending singular values (count, min(p, n)) of matrices w (count, p, n), by `kernels/common/singular.py`.

    LAPACK does those for which `sweeps` sweeps for each singular value are not enough, or that are not finite.
    """
    from ..backend import from_cache_line  # brings LLVM along, which `import dysonsim` does without
    from ..backend import many_levels as levels

    run = levels.compiled(singular.build)
    count, rows, columns = w.shape
    p, n = max(rows, columns), min(rows, columns)
    down, across = (columns, 1) if rows >= columns else (1, columns)
    out, good = np.empty((count, n)), np.empty(count)
    work = from_cache_line(singular.working_numbers(p, n))
    entries = np.require(w, requirements=["C", "A"]).reshape(-1).view()
    entries.flags.writeable = False  # of one type, whether the caller's are or not: it is compiled for one
    run(entries, out.reshape(-1), good, count, p, n, down, across, sweeps, work)
    if not good.all():
        left = np.flatnonzero(good == 0)
        with one_blas_thread():
            out[left] = np.linalg.svd(w[left], compute_uv=False)[:, ::-1]
    return out
