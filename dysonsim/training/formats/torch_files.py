"""Files of torch.save, by weights_only: what is more than tensors is not loaded."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..._extras import needs
from .arrays import described
from .stored import Stored, same_file
from .tensors import is_tensor, unnested

__all__ = ["listed"]

GREEDY = b"bytearray", b"_rebuild_device_tensor"


def listed(path: Path) -> dict[str, Stored]:
    """Return the tensors of a .pt, .pth, .ckpt or .bin file; they stay in the file until they are read.

    The format from before torch 1.6 has no such way: its numbers are in memory as long as the result is.
    """
    torch = needs("torch", "torch", path.name)
    unchanged, size, zipped = same_file(path), path.stat().st_size, zipfile.is_zipfile(path)
    if zipped:
        _check_archive(path, size)
    else:
        _check_names(path.read_bytes())  # which torch reads whole as well
    content = _loaded(torch, path, mmap=zipped)
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__}, not a state_dict")
    content = unnested(content)
    if not any(is_tensor(value) for value in content.values()):
        raise ValueError(f"holds no tensors at its top, but {', '.join(map(repr, list(content)[:20])) or 'nothing'}")
    for name, tensor in content.items():
        if is_tensor(tensor) and tensor.layout == torch.strided and not torch.nn.parameter.is_lazy(tensor):
            declared = 0 if tensor.is_meta else tensor.numel() * tensor.element_size()
            if declared > size:
                raise ValueError(f"{name}: is said to have shape {tuple(tensor.shape)}; the file has {size} bytes")
    arrays = described(content)
    return {name: replace(array, read=partial(_read, unchanged, array)) for name, array in arrays.items()}


def _check_archive(path: Path, size: int) -> None:
    """Check that torch will not inflate anything, and what the pickle within uses."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("is compressed, which torch.save does not do")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts are said to be longer than the file")
        if any(member.filename.endswith("constants.pkl") for member in members):
            raise ValueError("is a TorchScript program, not loaded; save the state_dict of the model")
        for member in members:
            if member.filename.endswith(".pkl"):
                _check_names(archive.read(member))


def _check_names(pickled: bytes) -> None:
    """Refuse the functions that weights_only allows and that take any amount of memory when they are asked to."""
    for name in GREEDY:
        if name in pickled:
            raise ValueError(f"not loaded: it uses {name.decode()}, which is no part of a state_dict")


def _read(unchanged: Callable[[], None], array: Stored) -> np.ndarray:
    unchanged()  # of a file that has become shorter, mapped memory is gone: the process would be killed
    return array.read()


def _loaded(torch: Any, path: Path, mmap: bool) -> Any:
    """Return what torch reads; ValueError, with the reason in one line, for everything else than tensors."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:
        text = str(error)
        found = re.search(r"GLOBAL\s+(\S+)", text)
        reason = f"it holds {found[1]}, which is more than tensors" if found else " ".join(text.split())[-200:]
        raise ValueError(
            f"not loaded: {reason}; save the state_dict: torch.save(model.state_dict(), path), or, if you trust who "
            "made the file, load it yourself and give the state_dict"
        ) from None
