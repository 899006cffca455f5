"""`read_weights`: the weight matrices that people have, from memory or from a file, one at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import _files
from .._extras import needs
from .._text import aligned
from .formats import arrays, hdf5, index, npz, safetensors_files, torch_files
from .formats.reparametrized import effective
from .formats.stored import Stored, explained, why_not
from .formats.tensors import is_module, is_tensor, module_weights, unnested
from .naming import Entry, chosen, entries, patterns, rules_of, some, split_up

__all__ = ["Weights", "read_weights"]

Lister = Callable[[Path], dict[str, Stored]]
Genuine = tuple[type[BaseException], ...]
FORMATS: dict[str, Lister] = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), torch_files.listed),
    ".safetensors": safetensors_files.listed,
    ".npz": npz.listed,
    **dict.fromkeys((".h5", ".hdf5"), hdf5.listed),
    ".keras": hdf5.listed_keras,
}
SOURCES = (
    "a torch module, a state_dict, a dictionary of names to arrays, or the path of a file "
    f"({', '.join(FORMATS)}, .index.json)"
)


class Weights(Mapping[str, np.ndarray]):
    """Weight matrices by the names of their layers, each read when it is looked up; `read_weights` makes them.

    ``weights[name]`` is a new array (rows, columns) = (outputs, inputs), of float64 where the numbers are stored in 64
    bits and of float32, exact, where in fewer. It is read again each time, so that no more than one layer is in memory:
    ``for name, matrix in weights.items()``. Matrices of a module or dictionary are those of the time of the
    look-up, not of `read_weights`. A layer can also be looked up by its full name ("fc1.weight") and by the other
    names of a tied one.

    Not for layers that are not one matrix: kernels of a convolution are (outputs, inputs * k * k), a stack of matrices
    is flattened to (stack, rows * columns), and gates of a recurrent layer lie below each other, unless `split` is
    given to `read_weights`.

    Attributes
    ----------
    source : str
        Where they are from, for messages.
    shapes : dict
        Name to (rows, columns); nothing is read for it.
    dtypes : dict
        Name to the type as stored, such as "bfloat16".
    aliases : dict
        Name to the tuple of other names under which the same memory is kept, of tied layers.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> embedding = np.ones((5, 3))
    >>> weights = ds.read_weights({"embedding.weight": embedding, "head.weight": embedding})
    >>> weights.shapes, weights.dtypes, weights.aliases
    ({'embedding': (5, 3)}, {'embedding': 'float64'}, {'embedding': ('head',)})
    >>> weights["head"].sum()
    np.float64(15.0)
    """

    def __init__(self, source: str, layers: Sequence[Entry], genuine: Genuine) -> None:
        self.source = source
        self.shapes: dict[str, tuple[int, int]] = {entry.name: entry.shape for entry in layers}
        self.dtypes: dict[str, str] = {entry.name: entry.stored.dtype for entry in layers}
        self.aliases: dict[str, tuple[str, ...]] = {entry.name: entry.aliases for entry in layers if entry.aliases}
        self._layers = {entry.name: entry for entry in layers}
        self._names = {other: entry.name for entry in layers for other in entry.names} | {n: n for n in self.shapes}
        self._genuine = genuine

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self:
            raise KeyError(f"{name!r}: {self.source} has {some(self._layers.values())}")
        entry = self._layers[self._names[name]]
        with explained(f"{self.source}: {entry.name}", self._genuine):
            return entry.matrix()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        return f"<Weights of {self.source}: {some(self._layers.values())}>"

    def __str__(self) -> str:
        also = {name: f"also {', '.join(others)}" for name, others in self.aliases.items()}
        rows = [[name, f"{m} x {n}", self.dtypes[name], also.get(name, "")] for name, (m, n) in self.shapes.items()]
        return f"Weights of {self.source}, {len(self)} matrices (rows x columns)\n{aligned(rows)}"


def read_weights(
    source: Any,
    *,
    layers: str | Sequence[str] | None = None,
    skip: str | Sequence[str] = (),
    split: Mapping[str, int | Sequence[str]] | None = None,
) -> Weights:
    """Read the weight matrices of a network: list them now, read each when it is looked up.

    Biases and norms (one dimension) and matrices with a side of 1 are left out, as are optimizers' states in a
    checkpoint; embeddings are kept. NaN and inf are read as they are.

    Parameters
    ----------
    source : torch.nn.Module, dict of str to array, or path
        A module (its parameters; parametrized ones as the layer uses them), a state_dict or a checkpoint that holds
        one, a dictionary of arrays (NumPy, torch, or any library that speaks DLPack), or a file: .pt, .pth, .ckpt,
        .bin (torch, read with weights_only), .safetensors, .npz, .h5, .hdf5, .keras, or the .index.json beside the
        files of a large model. Files are trusted with nothing: no code in them runs, no other file is read for them,
        and no array takes more memory than is stored (100 times that if compressed, or 64 MiB if that is more).
    layers : str or sequence of str, optional
        Names, or patterns of `fnmatch` such as "layers.*.attn*", of what to read; all by default. Both the names of
        layers and those in the source ("fc1", "fc1.weight") do.
    skip : str or sequence of str
        Names or patterns of what to leave out.
    split : dict, optional
        Pattern to the number, or the names, of equal parts along the rows: {"*.qkv": ("q", "k", "v")} makes
        "attn.qkv.q" and so on of "attn.qkv". By default so for the in_proj_weight of torch's attention; 1 keeps it
        whole.

    Returns
    -------
    Weights
        A mapping of names to matrices (outputs, inputs). The name is that of the layer: ".weight" at the end is
        dropped, as are "_orig_mod." of compiled and "module." of distributed models, and of Keras' paths all that is
        the same for all layers; Keras 3 files layers by their kinds: dense, dense_1. Tied layers come once, their
        other names in `aliases`.

    Raises
    ------
    TypeError
        A source that is none of these; weights that are quantized, integer, complex, masked, on the meta device, lazy
        or sharded: the message says which, and what to do.
    ValueError
        A file that is damaged or not safe to load (objects other than tensors, a whole module, links that leave it,
        sizes that are not true); no matrix left, or a name that matches nothing: the message lists what is there.
    ImportError
        A library that is missing, with the command that installs it: ``dysonsim[torch]`` (torch files; safetensors;
        bfloat16 and float8, which NumPy lacks) or ``dysonsim[keras]``.

    Notes
    -----
    Kernels of Keras, (inputs, outputs) and (k, k, inputs, outputs), are transposed, as are those of Conv1D of
    transformers in a module. In files of the latter (GPT-2) nothing tells them from linear layers: spectra are the
    same, but split them after transposing, ``read_weights({name: w.T for name, w in weights.items()}, split=...)``.
    A state_dict does not tell buffers from weights: leave out masks with `skip`. Parts of weight_norm, spectral_norm
    and pruning are put together as the layer does.

    Examples
    --------
    >>> import tempfile, numpy as np, dysonsim as ds
    >>> rng = np.random.default_rng(0)
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.savez(f"{folder.name}/net.npz", **{"fc1.weight": rng.normal(size=(8, 5)), "fc1.bias": np.zeros(8)})
    >>> weights = ds.read_weights(f"{folder.name}/net.npz")
    >>> list(weights), weights["fc1"].shape
    (['fc1'], (8, 5))
    >>> folder.cleanup()
    >>> attention = {"attn.qkv": rng.normal(size=(12, 4)), "out": np.eye(4)}
    >>> ds.read_weights(attention, split={"*.qkv": ("q", "k", "v")}).shapes
    {'attn.qkv.q': (4, 4), 'attn.qkv.k': (4, 4), 'attn.qkv.v': (4, 4), 'out': (4, 4)}
    """
    wanted = None if layers is None else patterns("layers", layers)
    unwanted = patterns("skip", skip)
    rules = rules_of(split)
    label, genuine, all_entries = _listed(source)
    found = chosen(split_up(all_entries, rules, label), wanted, unwanted, label)
    for entry in found:
        why = entry.stored.refused or why_not(entry.stored.dtype)
        if why:
            raise TypeError(f"{label}: {entry.name} ({entry.stored.dtype}) is {why}; or leave it out with skip=")
    for entry in found:
        if entry.stored.needs_torch:
            needs("torch", "torch", f"{entry.name} of {label}, of dtype {entry.stored.dtype},")
    return Weights(_name(source), found, genuine)


def _name(source: Any) -> str:
    """Return what to call a source in a message."""
    if isinstance(source, Weights):
        return source.source
    return os.fspath(source) if isinstance(source, str | os.PathLike) else type(source).__name__


def _listed(source: Any) -> tuple[str, Genuine, list[Entry]]:
    """Return what to call the source in a message, which errors of reading are no damage of it, and its arrays."""
    label = f"source ({_name(source)})"
    if isinstance(source, Weights):
        return label, source._genuine, list(source._layers.values())
    if isinstance(source, str | os.PathLike):
        path = _files.checked_path("source", source)
        lister = _lister(path)
        path.stat()
        with explained(label):
            return label, (MemoryError,), _entries(_printable(lister(path)))
    if is_module(source):
        return label, (Exception,), _entries(module_weights(source))
    if isinstance(source, Mapping):
        return label, (Exception,), _entries(arrays.described(unnested(source)))
    hint = "; give one array as {'name': array}" if is_tensor(source) or hasattr(source, "__array__") else ""
    raise TypeError(f"source is {type(source).__name__}: must be {SOURCES}{hint}")


def _entries(stored: dict[str, Stored]) -> list[Entry]:
    return entries(_with_scales(effective(stored)))


def _printable(stored: dict[str, Stored]) -> dict[str, Stored]:
    """Check names, which messages and tables show: what controls a terminal is no name."""
    for full, array in stored.items():
        for name in (full, array.called):
            if not name.isprintable():
                raise ValueError(f"holds a name that cannot be printed: {name[:80]!a}")
    return stored


def _with_scales(stored: dict[str, Stored]) -> dict[str, Stored]:
    """Mark numbers as refused that are nothing without the scales beside them: float8, and those of bitsandbytes."""
    states = {name.partition(".quant_state.")[0] for name in stored if ".quant_state." in name}
    found = {}
    for name, array in stored.items():
        eight = array.dtype.startswith("float8") and any(name + end in stored for end in ("_scale", "_scale_inv"))
        packed = name in states or f"{name}.absmax" in stored
        found[name] = replace(array, shape=None, refused=why_not("qint8")) if eight or packed else array
    return found


def _lister(path: Path) -> Lister:
    """Return what lists the arrays of a file, by how its name ends."""
    if path.name.endswith(".index.json"):
        return lambda path: index.listed(path, _lister)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"source = {str(path)!r}: must end in {', '.join(FORMATS)} or .index.json")
    return FORMATS[path.suffix.lower()]
