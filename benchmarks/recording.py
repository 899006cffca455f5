"""What watching a PyTorch training costs it.

The record of a weight matrix against ``torch.linalg.eigvalsh(W.T @ W)`` in float64, the journal alone, and whole
trainings with `ds.watch` against the same without, at the `every` that `watch` itself recommends where it warns that
recording takes more than 5%, without and with kicks, which are two spectra a record. That depends on the machine: how
long a step takes beside `eigvalsh`. All in processor time on one thread, taking turns; the median over rounds and its
quartiles are shown.
"""

from __future__ import annotations

import itertools
import re
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import dysonsim as ds
from benchmarks.harness import announce, quartiles
from dysonsim.training.journal import Journal
from dysonsim.training.matrices import weight_matrices

SHAPES = {(64, 16): 2000, (128, 64): 500, (784, 128): 100, (512, 512): 20, (2048, 512): 8, (2048, 2048): 1}  # and calls
RECORD, JOURNAL, SHARE = 1.3, 0.1, 0.05  # bars: over eigvalsh; ms; of the processor time
STEPS = 150  # of a round, at least, of trainings with short steps
ROW = 3 + 18 + 18 * 128  # numbers of a record of the GPT


def seconds(function: Callable[[], object], count: int = 1) -> float:
    began = time.process_time()
    for _ in range(count):
        function()
    return (time.process_time() - began) / count


def judged(text: str, value: float, found: dict, bar: float) -> dict:
    reached = bool(value <= bar)
    low, high = found["quartiles"]
    print(f"{text} {value:.3g} ({low:.3g} to {high:.3g}), bar {bar:g}: {'reached' if reached else 'MISSED'}")
    return {"quartiles": found["quartiles"], "bar": bar, "reached": reached}


def record(rows: int, columns: int, count: int, rounds: int) -> dict:
    """One float32 layer: from the parameter to singular values."""
    torch.manual_seed(0)
    model = torch.nn.Linear(columns, rows, bias=False)
    (matrix,) = weight_matrices(model, None)
    w = model.weight.detach().double()

    def peer() -> torch.Tensor:
        return torch.linalg.eigvalsh(w.T @ w)

    expected = peer().clamp(min=0).sqrt().numpy()
    np.testing.assert_allclose(matrix.singular_values()[-len(expected) :], expected, atol=1e-6 * expected[-1])
    times = np.array([[seconds(f, count) for f in (matrix.singular_values, peer)] for _ in range(rounds)])
    found = quartiles(times[:, 0] / times[:, 1])
    ours, theirs = np.median(times, axis=0) * 1e3
    text = f"{rows:5} x {columns:<5} a record {ours:9.3f} ms, eigvalsh of the Gram matrix {theirs:9.3f} ms: ratio"
    row = {"rows": rows, "columns": columns, "ms a record": ours, "ms of eigvalsh": theirs, "ratio": found["ratio"]}
    return row | judged(text, found["ratio"], found, RECORD)


def journal(rounds: int) -> dict:
    """A record of the GPT's 18 matrices, 18 kB, appended."""
    row = np.random.default_rng(0).random(ROW)
    with tempfile.TemporaryDirectory() as folder:
        file = Journal(Path(folder) / "run.dsrec")
        times = [seconds(lambda: file.append(b"row ", row.tobytes()), 200) * 1e3 for _ in range(rounds)]
        file.close()
    found = quartiles(np.array(times))
    text = f"journal, {8 * ROW / 1000:.0f} kB: ms a record"
    return {"ms a record": found["ratio"]} | judged(text, found["ratio"], found, JOURNAL)


def perceptron(*widths: int) -> tuple[torch.nn.Module, Callable[[torch.nn.Module], torch.Tensor]]:
    layers = [part for a, b in itertools.pairwise(widths) for part in (torch.nn.Linear(a, b), torch.nn.Tanh())]
    x, y = torch.randn(32, widths[0]), torch.randint(widths[-1], (32,))
    return torch.nn.Sequential(*layers[:-1]), lambda model: torch.nn.functional.cross_entropy(model(x), y)


class GPT(torch.nn.Module):
    """Four layers of width 128, characters: 18 matrices."""

    def __init__(self, characters: int = 96, width: int = 128, layers: int = 4, context: int = 64) -> None:
        super().__init__()
        self.token, self.place = torch.nn.Embedding(characters, width), torch.nn.Embedding(context, width)
        block = {"dim_feedforward": 4 * width, "dropout": 0.0, "batch_first": True, "norm_first": True, "bias": False}
        self.blocks = torch.nn.ModuleList(torch.nn.TransformerEncoderLayer(width, 4, **block) for _ in range(layers))
        self.mask = torch.nn.Transformer.generate_square_subsequent_mask(context)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.token(x) + self.place(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h, src_mask=self.mask, is_causal=True)
        return h @ self.token.weight.T


def gpt() -> tuple[torch.nn.Module, Callable[[torch.nn.Module], torch.Tensor]]:
    x, y = torch.randint(96, (32, 64)), torch.randint(96, (32, 64))
    return GPT(), lambda model: torch.nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


TRAININGS = {
    "digits MLP 64-128-128-10": lambda: perceptron(64, 128, 128, 10),
    "MLP 784-512-512-10": lambda: perceptron(784, 512, 512, 10),
    "GPT of 4 layers, width 128": gpt,
}
OFTEN = 2  # the `every` at which `watch` warns and says which would do


def recommended(model: torch.nn.Module, kicks: bool, loop: Callable[[int], None]) -> int:
    """The `every` that a warning of `watch` names."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ds.watch(model, every=OFTEN, kicks=kicks):
            began = time.process_time()
            while not caught and time.process_time() - began < 20:
                loop(20)
    found = [re.search(r"every=(\d+) would", str(w.message)) for w in caught]
    return next((int(match[1]) for match in found if match), OFTEN)


def training(name: str, kicks: bool, rounds: int) -> dict:
    """The share of the processor time that watching adds to the bare loop, hooks and journal included."""
    torch.manual_seed(0)
    model, loss = TRAININGS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def loop(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

    loop(3)
    every = recommended(model, kicks, loop)
    steps = every * (-(-STEPS // every) if every > 8 else 1)
    times = np.empty((rounds, 2))
    for r in range(rounds):
        order = (0, 1) if r % 2 else (1, 0)
        for watched in order:
            if watched:
                with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    with ds.watch(model, every=every, kicks=kicks, path=Path(folder) / "run.dsrec") as rec:
                        times[r, 1] = seconds(lambda: loop(steps))
            else:
                times[r, 0] = seconds(lambda: loop(steps))
    found = quartiles(1 - times[:, 0] / times[:, 1])
    step = float(np.median(times[:, 0])) / steps * 1e3
    how = f"every={every}, {'with' if kicks else 'no'} kicks"
    text = f"{name}: a step {step:.3f} ms, {how}; share of processor time"
    row = {
        "training": name,
        "every": every,
        "kicks": kicks,
        "ms a step": step,
        "share": found["ratio"],
        "by itself": rec.overhead,
    }
    return row | judged(text, found["ratio"], found, SHARE)


def run(options, keep) -> dict:
    """Print every row as it is there."""
    rounds = 5 if options.quick else 15
    torch.set_num_threads(1)
    report: dict[str, object] = {"machine": announce() | {"threads": 1}, "rounds": rounds}
    report["records"] = [record(*shape, count, rounds) for shape, count in SHAPES.items()]
    report["journal"] = journal(rounds)
    keep(report)
    report["trainings"] = [training(name, kicks, rounds) for name in TRAININGS for kicks in (False, True)]
    return report
