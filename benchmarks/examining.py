"""How good and how fast `dysonsim.examine` is: size, power, number of spikes, and the time of a small GPT."""

from __future__ import annotations

import json
import time

import numpy as np

import dysonsim as ds
from benchmarks.harness import announce
from dysonsim.training.verdict import Terms, verdict_on

ENTRIES = {
    "normal": lambda random, shape: random.normal(size=shape),
    "uniform": lambda random, shape: random.uniform(-1, 1, size=shape),
    "t3": lambda random, shape: random.standard_t(3, size=shape),
}
GPT = {  # 4 layers of width 128, 97 characters, 64 positions
    "wte": (97, 128),
    "wpe": (64, 128),
    **{f"blocks.{k}.qkv": (384, 128) for k in range(4)},
    **{f"blocks.{k}.proj": (128, 128) for k in range(4)},
    **{f"blocks.{k}.up": (512, 128) for k in range(4)},
    **{f"blocks.{k}.down": (128, 512) for k in range(4)},
}


def spiked(random: np.random.Generator, shape: tuple[int, int], strengths: list[float]) -> np.ndarray:
    """Noise of unit variance with signals, in units of the threshold."""
    m, n = shape
    u, v = (np.linalg.qr(random.normal(size=(size, len(strengths))))[0] for size in shape)
    return random.normal(size=shape) + (u * np.array(strengths) * (m * n) ** 0.25) @ v.T


def judged(w: np.ndarray, null: str, seed: int, draws: int = 999):
    return verdict_on("w", w, Terms(null, draws, 0.01, seed))


def size(quick: bool) -> dict[str, float]:
    """Share of random matrices that is rejected at 1%; bar .005 to .016 over 2000."""
    count, found = 200 if quick else 2000, {}
    for null, kind, shape in [
        ("gaussian", "normal", (64, 32)),
        ("gaussian", "normal", (24, 24)),
        ("shuffle", "normal", (40, 16)),
        ("shuffle", "uniform", (40, 16)),
        ("shuffle", "t3", (40, 16)),
    ]:
        random = np.random.default_rng(1)
        rows = [judged(ENTRIES[kind](random, shape), null, k) for k in range(count)]
        found[f"{null}, {kind} {shape}"] = float(np.mean([row.rejected(0.01) for row in rows]))
        print(f"size    {null:>8} {kind:>8} {shape}: {found[f'{null}, {kind} {shape}']:.4f}", flush=True)
    return found


def power(quick: bool) -> dict[str, float]:
    """Power at 1% for 512 x 256; bars are .9 of .61, 1, .97 and 1."""
    count, shape, found = 40 if quick else 200, (512, 256), {}
    correlated = np.linalg.cholesky(0.3 ** np.abs(np.subtract.outer(range(512), range(512))))
    makers = {
        "spike 1.2": lambda random: spiked(random, shape, [1.2]),
        "spike 1.5": lambda random: spiked(random, shape, [1.5]),
        "Student 4": lambda random: random.standard_t(4, size=shape),
        "rows correlated": lambda random: correlated @ random.normal(size=shape),
    }
    for name, make in makers.items():
        random = np.random.default_rng(2)
        rejected = np.mean([judged(make(random), "gaussian", k).rejected(0.01) for k in range(count)])
        found[name] = float(rejected)
        print(f"power   {name}: {rejected:.3f}", flush=True)
    return found


def count(quick: bool) -> dict[str, float]:
    """Share of matrices whose spikes, at twice the threshold, are counted exactly; and verdicts; bar .95."""
    repeats, found = 40 if quick else 400, {}
    for spikes in (1, 3, 10):
        for shape in [(512, 128), (128, 512), (256, 256)]:
            random = np.random.default_rng(3)
            made = [spiked(random, shape, [2.0] * spikes) for _ in range(repeats)]
            exact = np.mean([ds.spikes(w).count == spikes for w in made])
            few = made[: max(20, repeats // 4)]
            rows = [judged(w, "gaussian", k) for k, w in enumerate(few)]
            worded = np.mean([row.verdict.startswith(f"{spikes} spike") for row in rows])
            found[f"{spikes} {shape}"] = float(exact)
            found[f"{spikes} {shape}, examine"] = float(worded)
            print(f"count   {spikes} spikes {shape}: {exact:.3f}, examine {worded:.3f} of {len(few)}", flush=True)
    return found


def timed(quick: bool) -> dict[str, float]:
    """Seconds for 18 matrices of a GPT with controls, spikes in all of them; bar 120 on two cores."""
    random = np.random.default_rng(4)
    start = {name: 0.02 * random.normal(size=shape) for name, shape in GPT.items()}
    trained = {name: w + 0.02 * spiked(random, w.shape, [2.0, 3.0]) for name, w in start.items()}
    wall, cpu = time.perf_counter(), time.process_time()
    result = ds.examine(trained, initial=start, draws=99 if quick else 999)
    found = {"wall": time.perf_counter() - wall, "processor": time.process_time() - cpu}
    print(result)
    print(f"time    {found['wall']:.1f} s, {found['processor']:.1f} s of processor time", flush=True)
    return found


PARTS = {"size": size, "power": power, "count": count, "time": timed}


def add_arguments(parser) -> None:
    """Offer to measure some parts alone."""
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all by default")


def run(options, keep) -> dict:
    """Measure the parts that are asked for; those of the stored file stay."""
    report = json.loads(options.out.read_text()) if options.out.exists() else {}
    report["machine"] = announce()
    for name in options.parts or PARTS:
        report[name] = PARTS[name](options.quick)
        keep(report)
    return report
