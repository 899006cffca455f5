"""How Keras names its weights in files, and how it lays them out."""

from __future__ import annotations

__all__ = ["layout_of", "of_keras", "short_name"]

ATTENTION = {"query", "key", "value", "query_dense", "key_dense", "value_dense"}


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


def layout_of(path: str, ndim: int) -> dict[str, tuple[int, ...]]:
    """Return rows and columns of an array, as `Stored` takes them: kernels of Keras end in (inputs, outputs).

    Kernels of attention are (inputs, heads, outputs of a head); depthwise ones (..., inputs, outputs of an input).
    """
    parts = {part.split(":")[0] for part in path.split("/")}
    if ndim < 2 or any(part.startswith("embedding") for part in parts):
        return {}
    if ndim == 3 and ATTENTION & parts:
        return {"rows": (1, 2), "columns": (0,)}
    space = tuple(range(ndim - 2))
    if any(part.startswith("depthwise") for part in parts):
        return {"rows": (ndim - 2, ndim - 1), "columns": space}
    return {"rows": (ndim - 1,), "columns": (ndim - 2, *space)}
