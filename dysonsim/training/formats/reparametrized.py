"""Weights that are stored in parts: by weight_norm, by spectral_norm, and by pruning of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .stored import Stored

__all__ = ["effective"]

NEW = ".parametrizations."  # as in fc.parametrizations.weight.original0


def effective(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return the table with parts put together, in the place and under the name of the weight that they make.

    Of torch.nn.utils (and its parametrizations): weight_norm, W = g V / |V|, the norm taken where g has size 1;
    spectral_norm, W = V / (u . V v), with the u and v that are stored; prune, W = V * mask. What else
    is parametrized cannot be known from its parts: it is marked as refused.
    """
    found: dict[str, Stored] = {}
    used = set()
    for name, part in stored.items():
        for whole, function, names in _rules(name):
            if all(other in stored and stored[other].shape is not None for other in names):
                parts = [stored[other] for other in names]
                if _fit(function, parts) and not _further(stored, names):
                    found[whole] = _made(function, parts)
                    used.update(names)
                    break
        else:
            found[name] = part
    for name in list(found):
        if name in used:
            del found[name]
        elif NEW in f".{name}" and ".original" in name:
            why = "parametrized in a way that its parts do not tell: give the module, or remove_parametrizations first"
            found[name] = Stored(found[name].shape, found[name].dtype, found[name].read, refused=why)
        elif NEW in f".{name}":
            del found[name]
    return {name: part for name, part in found.items() if part.trained}


Rule = tuple[str, Callable[..., np.ndarray], list[str]]


def _rules(name: str) -> list[Rule]:
    """Return which weight a part can be of: the weight's name, how it is computed, and the names of all parts."""
    rules: list[Rule] = []
    if name.endswith("_g"):
        rules.append((name[:-2], normalized, [name, f"{name[:-2]}_v"]))
    if name.endswith("_orig"):
        whole = name[:-5]
        rules.append((whole, masked, [name, f"{whole}_mask"]))
        rules.append((whole, spectral, [name, f"{whole}_u", f"{whole}_v"]))
    before, new, after = f".{name}".rpartition(NEW)
    whole = f"{before}.{after.split('.')[0]}".strip(".")
    if new and after.endswith(".original0"):
        rules.append((whole, normalized, [name, f"{name[:-1]}1"]))
    elif new and after.endswith(".original"):
        step = f"{name.removesuffix('original')}0."
        rules.append((whole, spectral, [name, f"{step}_u", f"{step}_v"]))
    return rules


def _fit(function: Callable[..., np.ndarray], parts: list[Stored]) -> bool:
    """Whether the shapes are those of such parts."""
    shapes = [part.shape or () for part in parts]
    if function is masked:
        return shapes[0] == shapes[1]
    if function is normalized:
        g, v = shapes
        return len(v) > 1 and (len(g) in (0, len(v))) and all(a in (1, b) for a, b in zip(g, v, strict=False))
    v, left, right = shapes
    return len(v) > 1 and len(left) == len(right) == 1 and left[0] * right[0] == np.prod(v) and left[0] in v


def _further(stored: Mapping[str, Stored], names: list[str]) -> bool:
    """Whether more is kept of a parametrized weight than these parts, so that they are not all there is to it."""
    before, new, after = f".{names[0]}".rpartition(NEW)
    chain = f"{before}{new}{after.split('.')[0]}.".lstrip(".")
    return bool(new) and any(name.startswith(chain) and name not in names for name in stored)


def _made(function: Callable[..., np.ndarray], parts: list[Stored]) -> Stored:
    main = parts[1] if function is normalized else parts[0]
    refused = next((part.refused for part in parts if part.refused), "") if function is not masked else main.refused

    def read() -> np.ndarray:
        arrays = [np.asarray(part.read(), np.float64) for part in parts]
        return function(*arrays).astype(main.dtype if main.dtype == "float64" else "float32")

    torch = any(part.needs_torch for part in parts)
    return Stored(main.shape, main.dtype, read, main.rows, main.columns, refused, needs_torch=torch)


def normalized(g: np.ndarray, v: np.ndarray) -> np.ndarray:
    """W = g V / |V| (Salimans and Kingma, 2016)."""
    axes = tuple(k for k in range(v.ndim) if g.ndim == 0 or g.shape[k] == 1)
    return g * v / np.sqrt((v * v).sum(axis=axes, keepdims=True))


def spectral(v: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """W = V / (u . V v) (Miyato et al., 2018), V as a matrix whose rows are the axis that u is as long as."""
    axis = v.shape.index(left.size)
    return v / (left @ np.moveaxis(v, axis, 0).reshape(left.size, -1) @ right)


def masked(v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """W = V * mask."""
    return v * mask
