"""Kill a training that records, again and again, and let it go on from its own checkpoint: `python killed.py KILLS`.

Prints what was found wrong, and nothing else. A process that has imported everything forks for each attempt.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import dysonsim as ds

EVERY, BETWEEN = 5, 13  # steps between records, and between checkpoints
LONGEST = 0.06  # seconds until a kill


def train(folder: Path, last: int) -> None:
    """From the checkpoint, if there is one, to step `last`; all that moves is in the checkpoint."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.Tanh(), torch.nn.Linear(12, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=10, cycle_momentum=True)
    step, kept = 0, folder / "checkpoint"
    if kept.exists():
        step, weights, moments, rates, generator = torch.load(kept)
        model.load_state_dict(weights)
        optimizer.load_state_dict(moments)
        schedule.load_state_dict(rates)
        torch.set_rng_state(generator)
    with ds.watch(model, every=EVERY, path=folder / "run.dsrec", resume=step):
        while step < last:
            optimizer.zero_grad()
            model(torch.randn(6, 8)).square().mean().backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step % BETWEEN == 0:
                states = model.state_dict(), optimizer.state_dict(), schedule.state_dict()
                torch.save((step, *states, torch.get_rng_state()), folder / "new")
                os.replace(folder / "new", kept)


def attempt(folder: Path, last: int) -> int:
    child = os.fork()
    if not child:
        try:
            train(folder, last)
        except BaseException as error:
            print(f"training raised {error!r}", flush=True)
        os._exit(0)
    return child


def main(kills: int, seed: int = 0) -> None:
    torch.set_num_threads(1)
    last, delays = 80 * kills, random.Random(seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole, folder = Path(one), Path(other)
        os.waitpid(attempt(whole, last), 0)
        expected = ds.load_recording(whole / "run.dsrec")
        killed = 0
        while killed < kills:
            child = attempt(folder, last)
            time.sleep(LONGEST * delays.random())
            os.kill(child, signal.SIGKILL)
            if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                print(f"the training came to its end after {killed} kills")
                break
            killed += 1
            path = folder / "run.dsrec"
            if path.exists() and path.stat().st_size > 21:
                check(ds.load_recording(path), expected)
        os.waitpid(attempt(folder, last), 0)
        if (folder / "run.dsrec").read_bytes() != (whole / "run.dsrec").read_bytes():
            print("the recording is not that of a training that was not killed")


def check(found: ds.Recording, expected: ds.Recording) -> None:
    records = len(found.steps)
    for name, layer in found.items():
        there = expected[name]
        same = np.array_equal(layer.steps, there.steps[:records])
        same &= np.array_equal(layer.singular_values, there.singular_values[:records])
        same &= np.array_equal(layer.kicks[:-1], there.kicks[: max(records - 1, 0)])
        if not same:
            print(f"{name}: {records} records are no prefix of the recording")


if __name__ == "__main__":
    main(int(sys.argv[1]))
