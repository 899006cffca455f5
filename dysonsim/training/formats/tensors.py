"""Modules and state dicts of torch, as they lie in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from .stored import Stored, why_not, widened

__all__ = ["is_module", "is_tensor", "module_weights", "stored_tensor", "unnested"]

NESTED = ("state_dict", "model_state_dict", "model", "module", "params", "net", "network", "weights")
SHARDED = "sharded over processes: gather it first ({})"


def is_tensor(thing: Any) -> bool:
    """Whether it is a tensor of torch, which is not imported to find that out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Tensor)


def is_module(thing: Any) -> bool:
    """Whether it is a module of torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def unnested(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state dict within a checkpoint that keeps other things beside it."""
    for key in NESTED:
        inner = mapping.get(key)
        if isinstance(inner, Mapping) and any(is_tensor(value) or hasattr(value, "shape") for value in inner.values()):
            return inner
    return mapping


def stored_tensor(tensor: Any, **more: Any) -> Stored:
    """Describe a tensor; its numbers are read when they are asked for, and as they are then."""
    import torch
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    kind, dtype = type(tensor).__name__, str(tensor.dtype).removeprefix("torch.")
    lazy, shape, identity, refused = torch.nn.parameter.is_lazy(tensor), None, None, ""
    if lazy:
        refused = "lazy, without a shape as yet: run one batch through the model first"
    elif kind == "FlatParameter" or hasattr(tensor, "ds_id"):
        refused = SHARDED.format("FullStateDictConfig of FSDP, zero_to_fp32 of DeepSpeed")
    elif kind in ("Params4bit", "Int8Params"):  # of bitsandbytes
        refused = why_not("qint8")
    elif tensor.is_nested:
        refused = "nested, without one shape: give its parts"
    else:
        shape = tuple(tensor.shape)
    if shape is not None:
        if kind in ("DTensor", "ShardedTensor"):
            refused = SHARDED.format("tensor.full_tensor()")
        elif tensor.is_meta:
            refused = "on the meta device, without numbers: load the weights first"
        elif tensor.is_quantized or why_not(dtype):
            refused = why_not(dtype)
        elif is_traceable_wrapper_subclass(tensor):
            refused = f"a {kind}, which wraps other numbers: give tensor.dequantize() or the model as it was before"
        elif tensor.layout != torch.strided:
            refused = "sparse: give tensor.to_dense()"
        else:
            identity = (
                (str(tensor.device), tensor.data_ptr(), shape, tensor.stride(), dtype) if tensor.numel() else None
            )
    return Stored(shape, dtype, lambda: widened(tensor), refused=refused, identity=identity, **more)


def quantized(dtype: str) -> Stored:
    """Describe weights that are packed in a form of their own."""
    return Stored(None, dtype, lambda: np.empty(0), refused=why_not("qint8"))


def module_weights(module: Any) -> dict[str, Stored]:
    """Return the parameters of a module by name, those of parametrized layers as the layer uses them.

    Buffers come too, not as weights: older ways to normalize a layer keep half of it there.
    """
    found: dict[str, Stored] = {}
    for path, layer in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        if path.endswith("parametrizations") or ".parametrizations." in f".{prefix}":
            continue  # they are computed below, from the layer that they belong to
        for name in getattr(layer, "parametrizations", None) or ():
            chain = layer.parametrizations[name]
            if len(chain) == 1 and type(chain[0]).__name__ in ("_WeightNorm", "_SpectralNorm"):
                within = f"{prefix}parametrizations.{name}."  # put together as those of a file are
                found |= {within + part: stored_tensor(tensor) for part, tensor in chain.state_dict().items()}
            else:
                found[prefix + name] = _parametrized(chain)
        conv1d = type(layer).__name__ == "Conv1D"  # of transformers: a linear layer that keeps (inputs, outputs)
        for name, tensor in layer.named_parameters(recurse=False):
            found[prefix + name] = stored_tensor(tensor, rows=(1,) if conv1d and tensor.ndim == 2 else (0,))
        for name, tensor in layer.named_buffers(recurse=False):
            found[prefix + name] = stored_tensor(tensor, trained=False)
        if callable(getattr(type(layer), "weight", None)):  # a method, of quantized layers
            found[prefix + "weight"] = quantized(str(layer.weight().dtype).removeprefix("torch."))
    return found


def _parametrized(chain: Any) -> Stored:
    """Describe what a parametrized layer uses; computing it changes nothing in the layer."""
    import torch

    def computed() -> Any:
        modes = [(part, part.training) for part in chain.modules()]
        try:
            for part, _ in modes:
                part.training = False  # in training, spectral_norm takes a step of its iteration at each look
            with torch.no_grad():
                return chain()
        finally:
            for part, training in modes:
                part.training = training

    once = stored_tensor(computed())
    return Stored(once.shape, once.dtype, lambda: widened(computed()), refused=once.refused)
