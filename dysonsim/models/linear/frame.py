"""The basis of singular vectors in which the levels of a linear network are what its weights are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._groups import level_groups

__all__ = ["Frame", "frame_of"]

ZERO = 1e-9  # singular values below this times the largest count as 0


class Frame(NamedTuple):
    """The basis of the teacher's singular vectors, levels ascending."""

    xi: np.ndarray  # (n,) singular values of the teacher, 0 up to rounding is 0; zeros first where n > p
    left: np.ndarray  # (p, n) left singular vectors, columns; zero for levels that have none
    right: np.ndarray  # (n, n) right singular vectors, columns
    hessian: np.ndarray  # (n, n) left^T P left


def frame_of(mean: np.ndarray, hessian: np.ndarray) -> Frame:
    """Return the basis of the mean weights (p, n), and P in it."""
    p, n = mean.shape
    o, singular, vt = np.linalg.svd(mean)
    rank = min(p, n)
    xi, left, right = np.zeros(n), np.zeros((p, n)), vt[::-1].T.copy()
    xi[n - rank :] = np.where(singular > ZERO * singular[0], singular, 0.0)[::-1]
    left[:, n - rank :] = o[:, :rank][:, ::-1]
    null = int((xi[n - rank :] == 0).sum())
    if null:
        # where the teacher is 0, W decays in the modes of P; the last ones to do so are what its levels are
        apart = o[:, rank - null :]
        _, modes = np.linalg.eigh(apart.T @ hessian @ apart)
        zeros = slice(n - rank, n - rank + null)
        left[:, zeros] = (apart @ modes)[:, :null][:, ::-1]
        if p == n:  # a symmetric teacher has the same vectors on both sides
            u, _, v = np.linalg.svd(right[:, zeros].T @ left[:, zeros])
            right[:, zeros] = right[:, zeros] @ u @ v
    for i in range(n):  # LAPACK leaves the sign of each pair of vectors open; fix it for reproducible output
        sign = 1.0 if right[np.argmax(np.abs(right[:, i])), i] > 0 else -1.0
        left[:, i] *= sign
        right[:, i] *= sign
    for group in level_groups(xi**2):  # within a well the basis is free: take the one in which P is diagonal
        g = list(group)
        _, rotation = np.linalg.eigh(left[:, g].T @ hessian @ left[:, g])
        left[:, g], right[:, g] = left[:, g] @ rotation, right[:, g] @ rotation
    return Frame(xi, left, right, left.T @ hessian @ left)
