"""How Keras names its weights in files, and how it lays them out."""

from __future__ import annotations

import re

__all__ = ["is_bias", "layout_of", "of_keras", "short_name"]

Axes = tuple[int, ...]
PROJECTIONS = {"query", "key", "value", "query_dense", "key_dense", "value_dense"}


def of_keras(path: str) -> bool:
    """Whether a dataset is named as Keras names its weights: .../kernel:0 before version 3, .../vars/0 since."""
    *groups, last = path.split("/")
    return bool(groups) and (groups[-1] == "vars" or "kernel" in last or last.startswith("embeddings"))


def short_name(path: str) -> str:
    """Return the layer's name: "dense" of "model_weights/dense/dense/kernel:0" and of "layers/dense/vars/0"."""
    *groups, last = path.split("/")
    if groups[0] == "model_weights":
        groups = groups[1:]
    last = last.split(":")[0]
    parts: list[str] = []
    for part in [*groups, last]:
        if part not in ("layers", "vars") and part not in parts[-1:]:
            parts.append(part)
    if len(parts) > 1 and parts[-1] in ("kernel", "embeddings", "0"):
        parts.pop()
    return "/".join(parts)


def layout_of(path: str, ndim: int) -> tuple[Axes, Axes | None]:
    """Return rows and columns of an array, as `Stored` takes them: kernels of Keras end in (inputs, outputs).

    Kernels of attention are (inputs, heads, outputs of a head), its last (heads, outputs of a head, outputs);
    depthwise ones (..., inputs, outputs of an input).
    """
    *groups, last = [part.split(":")[0] for part in path.split("/")]
    parts = {*groups, last}
    if ndim < 2 or last == "embeddings" or any(re.fullmatch(r"embedding(_\d+)?", group) for group in groups):
        return (0,), None
    if ndim == 3 and PROJECTIONS & parts:
        return (1, 2), (0,)
    if ndim == 3 and {"attention_output", "output_dense"} & parts:
        return (2,), (0, 1)
    space = tuple(range(ndim - 2))
    separable = last == "0" and any(group.startswith("separable_conv") for group in groups)
    if ndim > 2 and (separable or any(part.startswith("depthwise") for part in parts)):
        return (ndim - 2, ndim - 1), space
    return (ndim - 1,), (ndim - 2, *space)


def is_bias(path: str) -> bool:
    """Whether an array is a bias, which has two dimensions in attention (heads, outputs) and in GRU (2, gates)."""
    *groups, last = [part.split(":")[0] for part in path.split("/")]
    if groups[-1:] == ["vars"]:
        return (last == "1" and bool(PROJECTIONS & {*groups})) or (last == "2" and "cell" in groups)
    return last == "bias"
