"""A basis of eigenvectors that rounding does not turn."""

from __future__ import annotations

import numpy as np

from ...backend import one_blas_thread

TOLERANCE = 1e-9  # of the largest eigenvalue: closer ones share an eigenspace


@one_blas_thread()
def eigenbasis(matrix: np.ndarray) -> np.ndarray:
    """Orthogonal V (n, n), read-only: VT matrix V is diagonal, with ascending entries, for a symmetric matrix.

    Within an eigenspace of several dimensions LAPACK's eigenvectors hang on its last bits, and so on the machine. Here
    they are what fixed vectors leave in the eigenspace, made orthogonal one after the other.
    """
    values, vectors = np.linalg.eigh(matrix)
    n = len(values)
    fixed = np.cos(np.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1) ** 2) ** 2)  # without pattern
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > TOLERANCE * np.abs(values).max())
    basis = np.empty((n, n))
    for begin, end in zip(starts, [*starts[1:], n], strict=True):
        space = vectors[:, begin:end]
        turned, triangle = np.linalg.qr(space.T @ fixed[:, begin:end])
        basis[:, begin:end] = space @ (turned * np.sign(np.diag(triangle)))
    basis.flags.writeable = False
    return basis
