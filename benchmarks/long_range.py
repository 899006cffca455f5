"""Number variance and rigidity of one spectrum: time and error, beside empyricalRMT.

Both get the same unfolded levels. empyricalRMT draws positions of the interval at random until its mean varies by less
than `tol`; dysonsim takes all of them. Errors are of the mean over several spectra against the law for the GOE.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import dysonsim as ds
from benchmarks.harness import PAUSE, announce, in_turns, quartiles, reached, skipped
from dysonsim._text import aligned

LEVELS, LENGTHS, SPECTRA = 2000, np.linspace(0.5, 18.0, 36), 4
BAR_MS = 30.0
PEER = "empyricalRMT"
FUNCTIONS = {"number variance": ds.number_variance, "rigidity": ds.rigidity}
LAWS = {"number variance": ds.laws.NumberVariance(1), "rigidity": ds.laws.Rigidity(1)}


def peer(statistic: str, levels: np.ndarray) -> np.ndarray:
    """Values of the peer at LENGTHS, of one unfolded spectrum."""
    if statistic == "number variance":
        from empyricalRMT.observables.levelvariance import level_number_variance as function
    else:
        from empyricalRMT.observables.rigidity import spectral_rigidity as function
    return np.asarray(function(levels, LENGTHS, show_progress=False)[1])


def run(options: Any, keep: Callable[[dict], None]) -> dict:
    """Time and errors of both statistics."""
    about = announce()
    gas = ds.simulate(ds.CoulombGas.hermite(n=LEVELS, beta=1.0), replicas=SPECTRA, seed=1)
    law = ds.laws.Semicircle.for_gas(LEVELS, 1.0, 1.0)
    inner = slice(LEVELS // 8, -LEVELS // 8)  # the peer takes all levels it is given
    spectra = ds.unfold(gas.eigenvalues[:, -1], law)
    rounds, rows = 3 if options.quick else 9, []
    there = find_spec(PEER) is not None
    if not there:
        skipped(PEER)
    for statistic, function in FUNCTIONS.items():
        raw = gas.eigenvalues[0, -1]
        everyone: dict[object, Callable[[], object]] = {
            "dysonsim": lambda function=function, raw=raw: function(raw, LENGTHS, density=law)
        }
        found = {"dysonsim": np.mean([function(x, LENGTHS, density=law).value for x in gas.eigenvalues[:, -1]], axis=0)}
        if there:
            everyone[PEER] = lambda statistic=statistic: peer(statistic, spectra[0, inner])
            found[PEER] = np.mean([peer(statistic, x[inner]) for x in spectra], axis=0)
        times = in_turns(everyone, rounds, pause=PAUSE)
        for name, seconds in times.items():
            ms = float(np.median(seconds)) * 1e3
            rows.append({
                "statistic": statistic, "library": name, "levels": LEVELS, "lengths": len(LENGTHS), "ms": ms,
                **quartiles(seconds / times["dysonsim"]),
                "largest deviation from the law": float(np.abs(found[str(name)] / LAWS[statistic](LENGTHS) - 1).max()),
                "bar": f"<= {BAR_MS:g} ms" if name == "dysonsim" else None,
                "reached": bool(ms <= BAR_MS) if name == "dysonsim" else None,
            })  # fmt: skip
    table = [["statistic", "", "ms", "ratio", "off the law", "bar"]]
    table += [[r["statistic"], r["library"], f"{r['ms']:.2f}", f"{r['ratio']:.0f}",
               f"{r['largest deviation from the law']:.1%}", f"{r['bar'] or ''} {reached(r['reached'])}"]
              for r in rows]  # fmt: skip
    print(aligned(table))
    return {"machine": about, "rows": rows}
