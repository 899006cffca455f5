"""Files of recordings, written frame by frame."""

from __future__ import annotations

import json

import numpy as np

from dysonsim.training import journal

ABOUT = {"every": 2, "kicks": True, "top": None, "sampling": None, "layers": {"a": {"shape": [3, 2], "levels": 2}}}
NOTE = {
    "step": 1,
    "learning_rate": [0.1],
    "batch_size": 5,
    "optimizer": "SGD",
    "groups": [{"momentum": 0.9}],
    "group": [0],
}


def written(path, rows, about=ABOUT, note=NOTE):
    file = journal.Journal(path)
    file.append(b"head", about if isinstance(about, bytes) else json.dumps(about).encode())
    file.append(b"note", json.dumps(note).encode())
    for row in rows:
        file.append(b"row ", np.array(row, "<f8").tobytes())
    file.close()
    return path


def row(step, kind=None, batch=5.0, rate=0.1):
    return [float(step % 2 == 0) if kind is None else kind, step, batch, rate, 1.0 + step, 2.0 + step]


def with_layers(**layer):
    return ABOUT | {"layers": {"a": {"shape": [3, 2], "levels": 2} | layer}}
