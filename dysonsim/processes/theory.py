"""What theory says of a training: the predictions of its model, at its learning rate and batch size.

A model states predictions for any learning rate and batch size (`dysonsim.models.base`); a process has both, so that
nobody has to type them twice. `Dyson(sgd)` and `CoulombGas(sgd)` have the training as their `sgd`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import Model

__all__ = ["Theory"]


class Theory:
    """Predictions of a process with a model; the docstrings of the model state the order of approximation.

    A prediction that the model does not state raises NotImplementedError, which names both. If there is no stationary
    state or no unique fixed point, ValueError says why.
    """

    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float

    @property
    def _stated(self) -> Any:
        """What has the predictions."""
        return self.model

    def fixed_point(self) -> np.ndarray:
        """Return the eigenvalues of X = W^T W at the fixed point of gradient descent.

        Returns
        -------
        (n,) array, ascending

        Raises
        ------
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> model = ds.TeacherStudent(np.diag([1.0, 2.0, 2.0]), gradient_noise=0.1)
        >>> print(ds.SGD(model, learning_rate=0.1, batch_size=16).fixed_point())
        [1. 4. 4.]
        """
        return self._stated.fixed_point()

    def degenerate_groups(self) -> list[tuple[int, ...]]:
        """List the groups of two or more levels that share a fixed point, and so repel each other.

        Returns
        -------
        list of tuples of level indices, ascending
            Levels whose fixed point is 0 are left out.

        Raises
        ------
        NotImplementedError
            If the model does not state its fixed point.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> model = ds.TeacherStudent(np.diag([1.0, 2.0, 2.0]), gradient_noise=0.1)
        >>> ds.SGD(model, learning_rate=0.1, batch_size=16).degenerate_groups()
        [(1, 2)]
        """
        return self._stated.degenerate_groups()

    def drift(self, x: np.ndarray) -> np.ndarray:
        """Return the drift K_i of the eigenvalues, without their repulsion.

        Parameters
        ----------
        x : (n,) array
            Eigenvalues of X, ascending, >= 0.

        Returns
        -------
        (n,) array
            Change of x per SGD step.

        Raises
        ------
        TypeError, ValueError
            If x is not such an array.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> print(sgd.drift([1.0, 4.0]).round(3))
        [0.211 0.001]
        """
        return self._stated.drift(x, self.learning_rate, self.batch_size)

    def noise(self, x: np.ndarray) -> np.ndarray:
        """Return the noise strengths g_ij: g_ij^2 = Var dX_ij and 2 g_ii^2 = Var dX_ii of one SGD step.

        Parameters
        ----------
        x : (n,) array
            Eigenvalues of X, ascending, >= 0.

        Returns
        -------
        (n, n) array, symmetric
            In the unit of x, per square root of an SGD step.

        Raises
        ------
        TypeError, ValueError
            If x is not such an array.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> print(sgd.noise([4.0, 4.0]).round(4))
        [[0.01 0.01]
         [0.01 0.01]]
        """
        return self._stated.noise(x, self.learning_rate, self.batch_size)

    def relaxation_rates(self) -> np.ndarray:
        """Return the rates at which the eigenvalues approach the fixed point, to first order in the learning rate.

        Returns
        -------
        (n,) array
            Per SGD step; inf for levels that are identically 0 because W has fewer rows than columns.

        Raises
        ------
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> model = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 3.0]), gradient_noise=0.1)
        >>> print(ds.SGD(model, learning_rate=0.01, batch_size=16).relaxation_rates())
        [0.01 0.09]
        """
        return self._stated.relaxation_rates(self.learning_rate)

    def stationary_widths(self) -> np.ndarray:
        """Return the stationary standard deviation of every eigenvalue in a well of its own.

        For levels that share a well this is the parameter of their ensemble, such as the `scale` of `laws.TwoLevel`.

        Returns
        -------
        (n,) array, in the unit of x

        Raises
        ------
        ValueError
            If there is no stationary state.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import dysonsim as ds
        >>> model = ds.GaussianRBM.scalar_field(n_visible=4, mass=2.0, mu=3.0)
        >>> print(ds.SGD(model, learning_rate=0.02, batch_size=16).stationary_widths().round(4))
        [0.05   0.0867 0.0867 0.1151]
        """
        return self._stated.stationary_widths(self.learning_rate, self.batch_size)

    def mean_spacings(self) -> np.ndarray:
        """Return the stationary mean spacing of the eigenvalues in every group of `degenerate_groups`.

        Returns
        -------
        (groups,) array, in the unit of x
            For a group of m > 2 levels, the mean of its m - 1 gaps.

        Raises
        ------
        ValueError
            If there is no stationary state, or no closed form.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import dysonsim as ds
        >>> model = ds.GaussianRBM.scalar_field(n_visible=4, mass=2.0, mu=3.0)
        >>> print(ds.SGD(model, learning_rate=0.02, batch_size=16).mean_spacings().round(4))
        [0.1537]
        """
        return self._stated.mean_spacings(self.learning_rate, self.batch_size)

    def singular_value_widths(self) -> np.ndarray:
        """Return the stationary widths of the singular values of W; see `stationary_widths`.

        Returns
        -------
        (n,) array, in the unit of W
            0 where the fixed point is 0.

        Raises
        ------
        ValueError
            If there is no stationary state.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> print(sgd.singular_value_widths().round(5))
        [0.00814 0.00814]
        """
        return self._stated.singular_value_widths(self.learning_rate, self.batch_size)

    def singular_value_spacings(self) -> np.ndarray:
        """Return the stationary mean spacing of the singular values of W in every group of `degenerate_groups`.

        Returns
        -------
        (groups,) array, in the unit of W

        Raises
        ------
        ValueError
            If there is no stationary state, or no closed form.
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> print(sgd.singular_value_spacings().round(5))
        [0.01442]
        """
        return self._stated.singular_value_spacings(self.learning_rate, self.batch_size)

    def max_learning_rate(self) -> float:
        """Return the learning rate above which training at this batch size is unstable near the fixed point.

        Raises
        ------
        NotImplementedError
            If the model does not state it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=1)
        >>> sgd.max_learning_rate()
        0.5
        """
        return self._stated.max_learning_rate(self.batch_size)

    def mean_shift(self) -> np.ndarray:
        """Return the stationary mean of the eigenvalues minus their `fixed_point`, averaged over each group.

        Returns
        -------
        (n,) array, in the unit of x

        Raises
        ------
        NotImplementedError
            If the model does not state it; `GaussianRBM` does.

        Examples
        --------
        >>> import dysonsim as ds
        >>> model = ds.GaussianRBM.scalar_field(n_visible=4, mass=2.0, mu=3.0)
        >>> print(ds.SGD(model, learning_rate=0.02, batch_size=16).mean_shift().round(4))
        [-0.0097 -0.0079 -0.0079 -0.0006]
        """
        return self._of_some_models("mean_shift")(self.learning_rate, self.batch_size)

    def weight_covariance(self) -> np.ndarray:
        """Return the exact stationary covariance of the entries of W.

        Returns
        -------
        (p, n, p, n) array
            E[(W - E W)_ai (W - E W)_bj] at [a, i, b, j].

        Raises
        ------
        ValueError
            If there is no stationary state.
        NotImplementedError
            If the model does not state it; `TeacherStudent` and `LinearNetwork` do.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), label_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> sgd.weight_covariance().shape
        (2, 2, 2, 2)
        """
        return self._of_some_models("weight_covariance")(self.learning_rate, self.batch_size)

    def exact_two_by_two(self) -> tuple[float, float, float]:
        """Return (std11, std22, std12) of `laws.SymmetricTwoByTwo` for a 2 x 2 teacher, in the unit of W.

        Raises
        ------
        ValueError
            If the teacher is not a multiple of the 2 x 2 unit matrix, or if there is no stationary state.
        NotImplementedError
            If the model does not state it; `TeacherStudent` and `LinearNetwork` do.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> model = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 3.0]), gradient_noise=0.1)
        >>> law = ds.laws.SymmetricTwoByTwo(2.0, *ds.SGD(model, learning_rate=0.02, batch_size=16).exact_two_by_two())
        """
        return self._of_some_models("exact_two_by_two")(self.learning_rate, self.batch_size)

    def relaxation(self, steps: np.ndarray, singular_values: np.ndarray) -> np.ndarray:
        """Return the mean path of the eigenvalues of X, from when W has the singular vectors of the teacher.

        Parameters
        ----------
        steps : (T,) int array
            SGD steps since W had these singular values.
        singular_values : (n,) array
            Singular values of W at step 0, >= 0.

        Returns
        -------
        (T, n) array, in the unit of x

        Raises
        ------
        TypeError, ValueError
            If an argument is not such an array.
        NotImplementedError
            If the model does not state it; `TeacherStudent` and `LinearNetwork` do.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> print(sgd.relaxation([0, 10, 100], [1.0, 1.0]).round(2))
        [[1.   1.  ]
         [2.73 2.73]
         [4.   4.  ]]
        """
        return np.asarray(self._of_some_models("relaxation")(steps, singular_values, self.learning_rate))

    def learning_curve(self, steps: np.ndarray) -> np.ndarray:
        """Return the singular values of W after `steps` from `init_scale`, aligned with the teacher, without noise.

        Returns
        -------
        (T, n) array, in the unit of W

        Raises
        ------
        NotImplementedError
            If the model does not state it; `DeepLinearNetwork` does.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> model = ds.DeepLinearNetwork(np.diag([1.0, 3.0]), widths=(2,), init="small")
        >>> sgd = ds.SGD(model, learning_rate=0.01, batch_size=16, init_scale=0.1)
        >>> print(sgd.learning_curve([100]).round(2))
        [[0.07 1.68]]
        """
        return np.asarray(self._of_some_models("learning_curve")(steps, self.learning_rate, self.init_scale))

    def _of_some_models(self, name: str) -> Any:
        """Find a prediction that only some models state; NotImplementedError if this one does not."""
        stated = getattr(self._stated, name, None)
        if stated is None:
            raise NotImplementedError(f"{type(self.model).__name__} states no prediction for {name}")
        return stated
