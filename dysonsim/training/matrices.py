"""Which parameters of a torch model are weight matrices, and the singular values of one."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _checks
from .._extras import needs
from .formats.stored import why_not
from .formats.tensors import stored_tensor
from .naming import ATTENTION, patterns

__all__ = ["Matrix", "imported_torch", "weight_matrices"]

SMALL = 24  # levels up to which a call of torch takes longer than the work


def imported_torch() -> Any:
    """Return torch; ImportError that names the extra."""
    return needs("torch", "torch", "a model of PyTorch")


@dataclass(frozen=True)
class Matrix:
    """A weight of a module: looked up each time, since training may put another parameter in its place."""

    name: str
    module: Any
    attribute: str
    parametrized: bool = False
    part: tuple[int, int] = (0, 1)  # which, of how many equal parts of its rows

    def parameters(self) -> list[Any]:
        """Return what an optimizer holds of it."""
        if self.parametrized:
            return list(self.module.parametrizations[self.attribute].parameters())
        return [self.module._parameters[self.attribute]]

    def tensor(self) -> Any:
        """Return the weight as it is, without a graph."""
        if not self.parametrized:
            return self.module._parameters[self.attribute].detach()
        # In training mode some parametrizations (spectral_norm) move their buffers whenever they are looked at.
        parametrizations = self.module.parametrizations[self.attribute]
        modes = [(module, module.training) for module in parametrizations.modules()]
        try:
            for module, _ in modes:
                module.training = False
            with imported_torch().no_grad():
                return parametrizations()
        finally:
            for module, training in modes:
                module.training = training

    def matrix(self) -> Any:
        """Return the weight as a matrix: that of a convolution as (out, in * k * k)."""
        weight, (which, count) = self.tensor(), self.part
        weight = weight if weight.ndim == 2 else weight.reshape(weight.shape[0], -1)
        rows = weight.shape[0] // count
        return weight if count == 1 else weight[which * rows : (which + 1) * rows]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.matrix().shape
        return int(rows), int(columns)

    def array(self) -> np.ndarray:
        """Return a copy on the CPU: float64 if it is, float32 otherwise."""
        torch = imported_torch()
        weight = self.matrix().cpu()
        return weight.to(torch.float64 if weight.dtype == torch.float64 else torch.float32, copy=True).numpy()

    def singular_values(self) -> np.ndarray:
        """Return them ascending, in float64; NaN if an entry is not finite.

        From the Gram matrix of the thinner side, which takes a half to a quarter of the time of a singular value
        decomposition, and loses nothing that lower precision than float64 had kept.
        """
        torch = imported_torch()
        weight = self.matrix()
        if weight.device.type != "cpu":
            weight = weight.cpu()
        try:
            if weight.dtype == torch.float64:
                return torch.linalg.svdvals(weight).numpy()[::-1]
            small = min(weight.shape) <= SMALL
            if small and weight.dtype == torch.float32:
                weight = weight.numpy().astype(np.float64)
            else:
                weight = weight.double().numpy() if small else weight.double()
            with np.errstate(all="ignore"):
                gram = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
                squares = _few_eigenvalues(gram) if small else torch.linalg.eigvalsh(gram).numpy()
            return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
        except torch.linalg.LinAlgError:  # not finite; training goes on
            return np.full(min(weight.shape), np.nan)


def _few_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """Return those of a small symmetric matrix, ascending; NaN if it is not finite. NumPy takes longer."""
    from scipy.linalg.lapack import dsyev

    values, _, fault = dsyev(matrix, compute_v=0)
    return np.full(len(matrix), np.nan) if fault else values


def weight_matrices(model: Any, layers: str | Iterable[str] | None) -> list[Matrix]:
    """Return the weight matrices of a model: two dimensions or more, no side of 1, a tied one once.

    As `read_weights` has them: "attention.in_proj_weight" of torch.nn.MultiheadAttention is three, with ".q" and so on.

    Raises
    ------
    TypeError
        If a weight is no dense array of real numbers that is there: quantized, integer, complex, meta, lazy, sharded.
    ValueError
        If a pattern of `layers` is met by none, or there is none at all.
    """
    torch = imported_torch()
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model = {_checks.shown(model)}: must be a torch.nn.Module, not {type(model).__name__}")
    found = _named(model)
    wrapped = bool(found) and all(name.startswith("module.") for name in found)
    found = {name.removeprefix("module.") if wrapped else name: matrix for name, matrix in found.items()}
    candidates = [part for name, which in found.items() for part in _parts(Matrix(name, *which))]
    chosen = _chosen([matrix.name for matrix in candidates], layers)
    matrices = []
    for matrix in candidates:
        name = matrix.name
        if name not in chosen:
            continue
        fault = next((f for p in matrix.parameters() if (f := _fault(p))), "")
        if fault:
            raise TypeError(f"model: layer {name!r} is {fault}; or leave it out with layers=")
        if matrix.tensor().ndim >= 2 and min(matrix.shape) > 1:
            matrices.append(matrix)
    if not matrices:
        names = ", ".join(
            f"{name!r} {tuple(p.shape)}" for name, p in list(model.named_parameters())[:20] if not _fault(p)
        )
        raise ValueError(f"model: has no weight matrix among its parameters, which are: {names or 'none'}")
    return matrices


def _named(model: Any) -> dict[str, tuple[Any, str, bool]]:
    """Parameters that may be matrices, by the name of their layer: its module, attribute, and whether parametrized."""
    torch = imported_torch()
    found: dict[str, tuple[Any, str, bool]] = {}
    seen: set[int] = set()
    inside: set[int] = set()
    for prefix, module in model.named_modules():
        place = prefix.replace("_orig_mod.", "").removesuffix("_orig_mod")
        place = f"{place}." if place and not place.endswith(".") else place
        if torch.nn.utils.parametrize.is_parametrized(module):
            for attribute, parametrizations in module.parametrizations.items():
                inside.update(map(id, parametrizations.modules()))
                found[_layer(place + attribute)] = module, attribute, True
        if id(module) in inside:
            continue
        for attribute, parameter in module._parameters.items():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if torch.nn.parameter.is_lazy(parameter) or parameter.ndim >= 2:
                found[_layer(place + attribute)] = module, attribute, False
    return found


def _parts(matrix: Matrix) -> list[Matrix]:
    """Return the matrices that a weight holds: it alone, or those of queries, keys and values."""
    pattern, names = ATTENTION
    if matrix.parametrized or not fnmatch.fnmatchcase(matrix.name, pattern):
        return [matrix]
    (weight,) = matrix.parameters()
    if imported_torch().nn.parameter.is_lazy(weight) or weight.shape[0] != 3 * weight.shape[1]:
        return [matrix]
    count = len(names)
    return [replace(matrix, name=f"{matrix.name}.{part}", part=(k, count)) for k, part in enumerate(names)]


def _layer(parameter: str) -> str:
    """Return "fc1" of "fc1.weight"; other names as they are."""
    return parameter.removesuffix(".weight")


def _chosen(names: list[str], layers: str | Iterable[str] | None) -> list[str]:
    if layers is None:
        return names
    wanted, there = patterns("layers", layers), ", ".join(map(repr, names))
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"layers = {_checks.shown(layers)}: no layer is called {pattern!r}; there are {there}")
    if not wanted:
        raise ValueError(f"layers = {_checks.shown(layers)}: must name a layer; there are {there}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)]


def _fault(parameter: Any) -> str:
    """Say why a parameter has no singular values that could be recorded, and what to do; empty if it has."""
    stored = stored_tensor(parameter)
    why = stored.refused or why_not(stored.dtype)
    return f"{why} ({stored.dtype})" if why else ""
