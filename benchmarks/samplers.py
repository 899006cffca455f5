"""Samplers of the Coulomb gas against NumPy, SciPy and JAX.

Exact draws are counted in matrices, Markov chains in effective draws of sum x^2: iterations of all chains over the
autocorrelation time, which each contestant's own chains are measured for. Peers run the same algorithms: tridiagonal
matrices of the same law; Hamiltonian Monte Carlo in log gaps with the same mass matrix, step and leaps; single-particle
Metropolis with the same proposals. NumPy takes the pairs of levels of all chains in one array (chains, n, n), as one
writes it first; *tuned* it goes level by level, chains fastest, with all chains in one array on one thread or in
pieces on two threads. The bar of HMC is for the first. All contestants of a case take turns; ratios are taken
within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg import eigh_tridiagonal

import dysonsim as ds
from benchmarks.harness import announce, quartiles, reached
from dysonsim.numerics.diagnostics import autocorrelation_time

THREADS, LEVELS, BETA = 2, 10, 2.0
MATRICES, CHAINS, TRACED = 100_000, 4096, 400
LIBRARY = "dysonsim"
BARS = {
    "exact draws": ("scipy eigh_tridiagonal in a loop", 10.0),
    "HMC": ("NumPy", 20.0),
    "Metropolis": ("", 0.0),
}


class Contestant:
    """`run(count)` does so many matrices or iterations of all chains; `worth` effective draws each."""

    def __init__(self, run: Callable[[int], object], count: int, worth: float) -> None:
        self.run, self.count, self.worth = run, count, worth

    def microseconds(self) -> float:
        """Per effective draw."""
        began = time.perf_counter()
        self.run(self.count)
        return (time.perf_counter() - began) / (self.count * self.worth) * 1e6


def exact_draws(quick: bool) -> dict[str, Contestant]:
    gas = ds.CoulombGas.hermite(LEVELS, BETA)
    rng = np.random.default_rng(0)
    degrees = BETA * np.arange(LEVELS - 1, 0, -1)

    def entries(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.standard_normal((count, LEVELS)), np.sqrt(rng.chisquare(degrees, (count, LEVELS - 1)) / 2)

    def loop(**options) -> Callable[[int], object]:
        def run(count: int) -> list[np.ndarray]:
            diagonals = zip(*entries(count), strict=True)
            return [eigh_tridiagonal(d, e, eigvals_only=True, **options) for d, e in diagonals]

        return run

    def dense(count: int) -> np.ndarray:
        d, e = entries(count)
        matrices = np.zeros((count, LEVELS, LEVELS))
        i = np.arange(LEVELS)
        matrices[:, i, i] = d
        matrices[:, i[1:], i[:-1]] = e  # the lower triangle is read
        return np.linalg.eigvalsh(matrices)

    few = 2_000 if quick else 10_000
    return {
        LIBRARY: Contestant(lambda count: ds.simulate(gas, count, seed=1, threads=THREADS), MATRICES, 1.0),
        "scipy eigh_tridiagonal in a loop": Contestant(loop(), few, 1.0),
        "the same, sterf, unchecked": Contestant(loop(lapack_driver="sterf", check_finite=False), few, 1.0),
        "NumPy eigvalsh, batched, dense": Contestant(dense, few, 1.0),
    }


def worth_of(trace: np.ndarray) -> float:
    """Effective draws that one iteration of all chains makes, from sum x^2 (chains, iterations)."""
    return CHAINS / float(autocorrelation_time(trace[:, len(trace[0]) // 4 :]))


def library(gas: ds.CoulombGas, count: int) -> Contestant:
    steps = gas.tuning.steps
    traced = ds.simulate(gas, CHAINS, max(TRACED, steps), seed=2, record_every=1, threads=THREADS).eigenvalues
    worth = worth_of((traced[:, gas.tuning.warm_up :] ** 2).sum(-1))
    count = max(count, steps)
    return Contestant(lambda count: ds.simulate(gas, CHAINS, count, seed=1, threads=THREADS), count, worth)


class TunedHmc:
    """The library's Hamiltonian Monte Carlo for one quadratic well in NumPy, arrays (n, chains), level by level."""

    def __init__(self, gas: ds.CoulombGas, chains: int, seed: int) -> None:
        self.rng, self.tuning, mode = np.random.default_rng(seed), gas.tuning, gas.mode
        self.factor, self.y0 = mode.factor, mode.y0[:, None]
        self.q = self.rng.standard_normal((LEVELS, chains)) * 0.5
        self.g, self.height, self.x = self.expand(self.q)

    @np.errstate(all="ignore")  # trajectories that go astray are rejected
    def expand(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gradient, energy and levels."""
        y = self.factor @ q + self.y0
        gaps = np.exp(y[1:])
        x = np.cumsum(np.concatenate([y[:1], gaps]), axis=0)
        force, logarithm = self.pairs(x)
        force = x - BETA * force
        sums = np.cumsum(force[::-1], axis=0)[::-1]
        sums[1:] = sums[1:] * gaps - 1
        height = 0.5 * (x * x).sum(axis=0) - BETA * logarithm - y[1:].sum(axis=0)
        return self.factor.T @ sums, height, x

    def pairs(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sum_j 1/(x_i - x_j) and sum_{i<j} log |x_i - x_j|."""
        force, product = np.zeros_like(x), np.ones(x.shape[1])
        for i in range(1, LEVELS):
            differences = x[i] - x[:i]
            product *= np.prod(differences, axis=0)
            inverse = 1 / differences
            force[i] += inverse.sum(axis=0)
            force[:i] -= inverse
        return force, np.log(product)

    def step(self) -> None:
        chains = self.q.shape[1]
        epsilon = self.tuning.step * (0.8 + 0.4 * self.rng.random(chains))
        epsilon[self.rng.random(chains) < 0.1] *= 0.2
        p = self.rng.standard_normal(self.q.shape)
        before = self.height + 0.5 * (p * p).sum(axis=0)
        p -= 0.5 * epsilon * self.g
        q = self.q + epsilon * p
        for leap in range(self.tuning.leaps):
            g, height, x = self.expand(q)
            if leap < self.tuning.leaps - 1:
                p -= epsilon * g
                q += epsilon * p
        p -= 0.5 * epsilon * g
        accepted = np.log(self.rng.random(chains)) < before - height - 0.5 * (p * p).sum(axis=0)
        for mine, new in ((self.q, q), (self.g, g), (self.x, x), (self.height, height)):
            np.copyto(mine, new, where=accepted)


class NumPyHmc(TunedHmc):
    """All pairs at once."""

    def pairs(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = x.T
        differences = x[:, :, None] - x[:, None, :]
        i = np.arange(LEVELS)
        differences[:, i, i] = np.inf
        force = (1 / differences).sum(axis=2)
        low, high = np.triu_indices(LEVELS, 1)
        return force.T, np.log(np.abs(differences[:, low, high])).sum(axis=1)


class NumPyMetropolis:
    """The library's single-particle Metropolis for one quadratic well."""

    def __init__(self, gas: ds.CoulombGas, chains: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.width = gas.tuning.step * min(1.0, gas.mode.scale)
        self.x = gas.mode.levels[:, None] + 0.1 * self.rng.standard_normal((LEVELS, chains))

    def step(self) -> None:
        x = self.x
        kicks = self.width * self.rng.standard_normal(x.shape)
        thresholds = np.log(self.rng.random(x.shape))
        for i in range(LEVELS):
            old, new = x[i], x[i] + kicks[i]
            others = np.delete(x, i, axis=0)
            ratio = np.prod((new - others) / (old - others), axis=0)
            gain = 0.5 * (old * old - new * new) + BETA * np.log(np.abs(ratio))
            x[i] = np.where(thresholds[i] < gain, new, old)


def numpy_chains(kind: type, gas: ds.CoulombGas, count: int, parts: int, threads: int) -> Contestant:
    """The chains in so many pieces, on so many threads."""
    pieces = [kind(gas, CHAINS // parts, seed) for seed in range(parts)]
    pool = ThreadPoolExecutor(threads)

    def follow(piece, count: int, keep: bool = False) -> list[np.ndarray]:
        kept = []
        for _ in range(count):
            piece.step()
            if keep:
                kept.append((piece.x**2).sum(axis=0))
        return kept

    def run(count: int) -> None:
        list(pool.map(follow, pieces, [count] * len(pieces)))

    trace = np.concatenate([np.stack(follow(piece, TRACED, True), axis=1) for piece in pieces])
    return Contestant(run, count, worth_of(trace))


def jax_hmc(gas: ds.CoulombGas, count: int) -> Contestant | None:
    """The same iteration in JAX, vectorized over chains, the whole loop compiled; gradients by JAX."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    factor, y0, tuning = jnp.asarray(gas.mode.factor), jnp.asarray(gas.mode.y0), gas.tuning
    low, high = np.triu_indices(LEVELS, 1)

    def levels(q):
        y = factor @ q + y0
        return y, jnp.cumsum(jnp.concatenate([y[:1], jnp.exp(y[1:])]))

    def energy(q):
        y, x = levels(q)
        return 0.5 * (x * x).sum() - BETA * jnp.log(x[high] - x[low]).sum() - y[1:].sum()

    expand = jax.vmap(jax.value_and_grad(energy))

    def iteration(carry, key):
        q, height, g = carry
        a, b, c, d = jax.random.split(key, 4)
        epsilon = tuning.step * (0.8 + 0.4 * jax.random.uniform(a, (CHAINS, 1)))
        epsilon = jnp.where(jax.random.uniform(b, (CHAINS, 1)) < 0.1, 0.2 * epsilon, epsilon)
        p = jax.random.normal(c, q.shape)
        before = height + 0.5 * (p * p).sum(1)
        p1, q1, g1 = p - 0.5 * epsilon * g, q, g
        for leap in range(tuning.leaps):
            q1 = q1 + epsilon * p1
            height1, g1 = expand(q1)
            p1 = p1 - (epsilon if leap < tuning.leaps - 1 else 0.5 * epsilon) * g1
        accepted = jnp.log(jax.random.uniform(d, (CHAINS,))) < before - height1 - 0.5 * (p1 * p1).sum(1)
        q = jnp.where(accepted[:, None], q1, q)
        carry = q, jnp.where(accepted, height1, height), jnp.where(accepted[:, None], g1, g)
        return carry, (jax.vmap(levels)(q)[1] ** 2).sum(1)

    run_all = jax.jit(lambda carry, keys: jax.lax.scan(iteration, carry, keys))
    q = 0.5 * jax.random.normal(jax.random.key(0), (CHAINS, LEVELS))
    start = (q, *expand(q))
    trace = np.asarray(run_all(start, jax.random.split(jax.random.key(1), TRACED))[1]).T
    keys = jax.random.split(jax.random.key(2), count)
    jax.block_until_ready(run_all(start, keys))
    return Contestant(lambda count: jax.block_until_ready(run_all(start, keys)), count, worth_of(trace))


def cases(quick: bool) -> dict[str, dict[str, Contestant]]:
    hmc, metropolis = (ds.CoulombGas.hermite(LEVELS, BETA, method=method) for method in ("hmc", "metropolis"))
    count = 10 if quick else 40
    chains = {
        LIBRARY: library(hmc, 10 * count),
        "NumPy": numpy_chains(NumPyHmc, hmc, count, 1, 1),
        "NumPy, tuned": numpy_chains(TunedHmc, hmc, count, 1, 1),
        "NumPy, tuned, two threads": numpy_chains(TunedHmc, hmc, count, 8, THREADS),
    }
    if (jax := jax_hmc(hmc, count)) is not None:
        chains["JAX"] = jax
    sweeps = {
        LIBRARY: library(metropolis, 10 * count),
        "NumPy": numpy_chains(NumPyMetropolis, metropolis, count, 1, 1),
        "NumPy, two threads": numpy_chains(NumPyMetropolis, metropolis, count, 8, THREADS),
    }
    return {"exact draws": exact_draws(quick), "HMC": chains, "Metropolis": sweeps}


def compare(case: str, everyone: dict[str, Contestant], rounds: int) -> list[dict]:
    times = {name: np.empty(rounds) for name in everyone}
    for contestant in everyone.values():
        contestant.microseconds()
    for r in range(rounds):
        for name, contestant in everyone.items():
            times[name][r] = contestant.microseconds()
    rows = []
    for name, microseconds in times.items():
        found = quartiles(microseconds / times[LIBRARY])
        against, bar = BARS[case]
        rows.append(
            {
                "case": case, "by": name, "us per draw": float(np.median(microseconds)), **found,
                "bar": bar if name == against else None,
                "reached": bool(found["ratio"] >= bar) if name == against else None,
                "us of each round": microseconds.tolist(),
            }
        )  # fmt: skip
    return rows


def table(rows: list[dict]) -> str:
    lines = [f"{'':40}{'us/draw':>10}{'ratio':>8}  {'quartiles':<16}bar"]
    for row in rows:
        if row["by"] == LIBRARY:
            lines.append(f"{row['case']}, n = {LEVELS}, beta = {BETA:g}, {THREADS} threads")
        low, high = row["quartiles"]
        bar = "" if row["bar"] is None else f">= {row['bar']:g}: {reached(row['reached'])}"
        spread = f"{low:.1f} to {high:.1f}"
        lines.append(f"    {row['by']:<36}{row['us per draw']:>10.3f}{row['ratio']:>8.1f}  {spread:<16}{bar}".rstrip())
    return "\n".join(lines)


def run(options, keep) -> dict:
    """Print one table of all samplers."""
    report: dict[str, object] = {"machine": announce(), "rounds": 3 if options.quick else 9}
    rows = [row for case, all_of in cases(options.quick).items() for row in compare(case, all_of, report["rounds"])]
    print(table(rows))
    return report | {"samplers": rows}
