"""`hierarchy`: SGD and the levels of description derived from it, run alike and compared with each other.

SGD, the matrix Langevin equation, Dyson Brownian motion of the eigenvalues and the Coulomb gas (arXiv:2412.20496) say
the same of a training as the learning rate goes to 0; `hierarchy` measures where each stops describing the one before.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from .. import _checks
from .._checks import shown
from .._fingerprint import fingerprint
from ..comparison.result import MOST_RESAMPLES
from ..ensembles.observable import Choice, observable_of
from ..ensembles.run import Run
from ..ensembles.schedule import MAX_STEPS
from ..ensembles.simulate import simulate
from ..processes import CoulombGas, Dyson, Langevin, MixingError, Process
from ..processes.descent import Descent
from ..spectra.observables import MINIMUM_REPLICAS
from . import measure as measure
from .quantities import REFERENCE, TITLES, on_path, settled, timeless
from .result import Hierarchy

__all__ = ["Hierarchy", "hierarchy"]

LEVELS = ("sgd", "langevin", "dyson", "gas")
CLOSURES = {"corrected": ("dyson",), "independent": ("independent",), "both": ("dyson", "independent")}
MOST_RECORDS = 10**6  # of a sequence of steps, which may be endless
SETTLE, INTERVAL = 25.0, 0.75  # in units of the slowest relaxation time


def hierarchy(
    sgd: Descent,
    replicas: int = 1000,
    *,
    levels: Sequence[str] | None = None,
    closure: str = "corrected",
    settle: int | None = None,
    records: int | Iterable[int] = 16,
    path: int | Iterable[int] = 40,
    observable: Choice = "eigenvalues",
    given: Mapping[str, Process | Run] | None = None,
    seed: int = 0,
    resamples: int = 1999,
    dtype: str = "float64",
    device: str = "cpu",
    threads: int | None = None,
    progress: bool | None = None,
) -> Hierarchy:
    """Run SGD, Langevin, Dyson and the Coulomb gas alike, and measure how far each is from SGD.

    These are the descriptions of one training, "levels" for short. All but the gas, which has no time, start from
    weights of the same law and are recorded at the same steps. Each has random numbers of its own. Errors are over
    replicas.

    Parameters
    ----------
    sgd : SGD or Adam
        The training from which the other descriptions are derived. Of a point of a scan its process; of a scan every
        point's, and the result is a dict of Hierarchies by place.
    replicas : int, >= 8
        Number of networks or gases for each description.
    levels : sequence of "sgd", "langevin", "dyson", "gas"; optional
        Which descriptions to run; "sgd" must be among them. Default: all that the model has, and the result says why
        others are missing.
    closure : {"corrected", "independent", "both"}
        Closure of `Dyson`. With "both", "independent" is a description of its own.
    settle : int, optional
        Step of the first stationary record. Default: 25 times the slowest relaxation time of the model, which leaves an
        RBM time to grow from small weights.
    records : int or steps
        Number of stationary records, which are 0.75 of the slowest relaxation time apart; or their steps, two or more.
    path : int or steps
        Number of records before `settle`, denser at the beginning; or their steps. 0 for none.
    observable : str, Observable or callable(run) -> (replicas, records, n) array
        "eigenvalues", "singular_values", or a function with one number for each level. Spacings within every well are
        measured as well.
    given : dict, optional
        A Process to run or a finished Run, by the name of the description that it takes the place of ("independent" is
        one), or under a new name. A Run must have the records that are asked for, and may have any number of replicas.
    seed : int
        The seed of each description is derived from this one and its name.
    resamples : int
        Number of draws behind every p-value, see `compare`.
    dtype, device, threads, progress :
        As for `simulate`.

    Returns
    -------
    Hierarchy

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed.
    NotImplementedError
        If a description that is asked for needs what the model does not state.
    DivergenceError, MixingError, MemoryError
        From `simulate`.

    Warns
    -----
    RuntimeWarning
        If the stationary records of a description still drift: `settle` is too small.

    Notes
    -----
    Wells are the model's degenerate groups and its single levels. Levels that are always 0 are left out. The quantities
    that are measured in one description are not independent of each other.

    All parameters but `sgd` are optional: which descriptions and records there are, what is measured, and how it is
    run.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> result = ds.hierarchy(sgd, replicas=64, levels=("sgd", "gas"), records=2, path=0, resamples=99)
    >>> list(result.runs)
    ['sgd', 'gas']
    >>> result.quantities[0].name
    'mean'
    """
    if getattr(sgd, "is_scan", False) is True:
        how = {name: value for name, value in locals().items() if name != "sgd"}
        return sgd.each(lambda point: hierarchy(point.process, **how))  # type: ignore[attr-defined]
    sgd = getattr(sgd, "process", sgd) if hasattr(sgd, "is_point_of_scan") else sgd
    if not isinstance(sgd, Descent):
        raise TypeError(f"sgd = {shown(sgd)}: must be a dysonsim.SGD or Adam")
    replicas = _checks.integer("replicas", replicas, MINIMUM_REPLICAS)
    looked_at = observable_of(observable, of_levels="`hierarchy` measures levels, and their spacings in every well")
    seed = _checks.integer("seed", seed, 0)
    resamples = _checks.integer("resamples", resamples, 1, most=MOST_RESAMPLES)
    steps, way = _times(sgd, settle, records, path)
    makers, missing = _levels(sgd, levels, closure, {} if given is None else given)
    how = {"dtype": dtype, "device": device, "threads": threads, "progress": progress}
    every = sorted({*way.tolist(), *steps.tolist()})
    runs: dict[str, Run] = {}
    for name in reversed(makers):  # the cheap ones first, so that what they refuse is known before the training runs
        maker = makers[name]
        own = int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1, np.uint64)[0])
        try:
            runs[name] = maker if isinstance(maker, Run) else _run(maker, replicas, own, every, len(steps), how)
        except MixingError as error:
            if levels is not None:
                raise
            missing[name] = str(error)
    runs = {name: runs[name] for name in makers if name in runs}
    _check_seeds(runs)
    values = {name: settled(run, looked_at, steps) for name, run in runs.items()}
    paths = {name: on_path(run, looked_at, way) for name, run in runs.items() if len(way) and not timeless(run)}
    wells = measure.wells(sgd)
    measure.warn_unsettled(values, wells, stacklevel=2)
    quantities = [q for well in wells for q in measure.quantities(sgd, well, values, paths, way, looked_at.name)]
    distributions = [d for well in wells for d in measure.distributions(well, values, resamples)]
    return Hierarchy(sgd, looked_at.name, runs, steps, way, quantities, distributions, missing, looked_at)


def _times(
    sgd: Descent, settle: int | None, records: int | Iterable[int], path: int | Iterable[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the steps of the stationary records and of those on the way."""
    if isinstance(records, Iterable) and getattr(records, "ndim", True):
        steps = _steps("records", records, 2)
        if settle is not None:
            raise ValueError(f"settle = {settle}: must be left out where records are steps")
    else:
        count, slowest = _checks.integer("records", records, 2, most=MOST_RECORDS), _slowest(sgd, settle)
        first = math.ceil(SETTLE / slowest) if settle is None else settle
        settle = _checks.integer("settle", first, 1, most=MAX_STEPS)
        between = max(1, round(INTERVAL / slowest)) if slowest > 0 else max(1, settle // 32)
        if settle + between * (count - 1) > MAX_STEPS:
            raise ValueError(f"settle = {settle}, records = {count}: the last must be at a step <= {MAX_STEPS}")
        steps = settle + between * np.arange(count, dtype=np.int64)
    if isinstance(path, Iterable) and getattr(path, "ndim", True):
        return steps, _steps("path", path, 0)
    number = _checks.integer("path", path, 0, most=MOST_RECORDS)
    share = np.arange(number) / max(1, number)
    return steps, np.unique(np.rint(share**2 * float(steps[0])).astype(np.int64))


def _slowest(sgd: Descent, settle: int | None) -> float:
    """Find the slowest relaxation rate of a level that is learned; 0 if the model states none and `settle` is given."""
    try:
        rates = sgd.relaxation_rates()[sgd.fixed_point() > 0]
    except NotImplementedError as error:
        if settle is None:
            raise ValueError(f"settle is missing: give it, as the model does not say how fast it relaxes ({error})") \
                from None  # fmt: skip
        return 0.0
    rates = rates[np.isfinite(rates) & (rates > 0)]
    if not len(rates) and settle is None:
        raise ValueError(f"settle is missing: give it, since no level of {sgd.model} relaxes")
    return float(rates.min(initial=math.inf)) if len(rates) else 0.0


def _steps(name: str, given: Iterable[int], least: int) -> np.ndarray:
    if isinstance(given, (str, bytes, bytearray)):
        raise TypeError(f"{name} = {shown(given)}: must be a number or a sequence of steps")
    if isinstance(given, np.ndarray):
        _checks.array(name, given, "a number or a sequence of steps", dimensions=(1,), empty=True)
    listed = list(islice(given, MOST_RECORDS + 1))
    if len(listed) > MOST_RECORDS:
        raise ValueError(f"{name} = {shown(given)}: must be at most {MOST_RECORDS} steps")
    steps = np.array(sorted({_checks.integer(name, step, 0, most=MAX_STEPS) for step in listed}), dtype=np.int64)
    if len(steps) < least:
        raise ValueError(f"{name} = {steps.tolist()}: must be {least} steps or more")
    return steps


def _levels(
    sgd: Descent, levels: Sequence[str] | None, closure: str, given: Mapping[str, Process | Run]
) -> tuple[dict[str, Process | Run], dict[str, str]]:
    """Return what is to be run, or has been, by name; and what cannot be, with the reason."""
    names = LEVELS if levels is None else levels
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"levels = {shown(levels)}: must be a sequence of {', '.join(map(repr, LEVELS))}")
    for name in names:
        _checks.choice("levels", name, LEVELS)
    if REFERENCE not in names:
        raise ValueError(f"levels = {shown(levels)}: must contain 'sgd', from which the others deviate")
    _checks.choice("closure", closure, CLOSURES)
    _check_given(sgd, given)
    makers: dict[str, Process | Run] = {}
    missing: dict[str, str] = {}
    ways = {
        "sgd": lambda: sgd,
        "langevin": lambda: Langevin(sgd),  # type: ignore[arg-type]  # which refuses Adam
        "dyson": lambda: Dyson(sgd, closure="corrected"),
        "independent": lambda: Dyson(sgd, closure="independent"),
        "gas": lambda: CoulombGas(sgd),
    }
    wanted = [k for name in LEVELS if name in names for k in (CLOSURES[closure] if name == "dyson" else (name,))]
    for name in [*wanted, *(name for name in given if name not in wanted)]:
        if name in given:
            makers[name] = given[name]
            continue
        try:
            makers[name] = ways[name]()
        except (NotImplementedError, ValueError) as error:
            if levels is not None:
                raise
            missing[name] = str(error)
    if len(makers) < 2:
        why = "".join(f"; {TITLES[name]}: {reason}" for name, reason in missing.items())
        raise ValueError(f"levels = {shown(levels)}: must be two or more, there is nothing to compare SGD with{why}")
    return makers, missing


def _check_given(sgd: Descent, given: Mapping[str, Process | Run]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"given = {shown(given)}: must be a dict of processes or runs by the name of a level")
    for name, maker in given.items():
        if not isinstance(name, str) or not isinstance(maker, (Process, Run)):
            raise TypeError(f"given[{name!r}] = {shown(maker)}: must be a Process or a Run, by name")
        process = maker.process if isinstance(maker, Run) else maker
        if process.n != sgd.n:
            raise ValueError(f"given[{name!r}] has {process.n} levels: must have {sgd.n}, as {sgd}")
        if isinstance(maker, Run) and maker.replicas < MINIMUM_REPLICAS:
            raise ValueError(f"given[{name!r}] has {maker.replicas} replicas: must have {MINIMUM_REPLICAS} or more")
        if name == REFERENCE and fingerprint(process) != fingerprint(sgd):
            raise ValueError(f"given['sgd'] is of {process}: must be of sgd = {sgd}")


def _run(process: Process, replicas: int, seed: int, every: list[int], records: int, how: dict) -> Run:
    """Run a process recorded at `every` step, or a gas `records` times."""
    if process.continuous:
        return simulate(process, replicas, times=every, seed=seed, **how)
    if process.weight_shape is not None:
        return simulate(process, replicas, steps=every[-1], record_steps=every, seed=seed, **how)
    first = process.default_steps()
    assert first is not None
    apart = 1
    if isinstance(process, CoulombGas) and process.sampler != "exact":
        apart = max(1, math.ceil(float(process.tuning.tau.max())))
    return simulate(process, replicas, first + (records - 1) * apart, seed,
                    record_steps=range(first, first + records * apart, apart), **how)  # fmt: skip


def _check_seeds(runs: Mapping[str, Run]) -> None:
    names = list(runs)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if runs[a].seed == runs[b].seed:
                raise ValueError(
                    f"given: {a!r} and {b!r} have the same seed = {runs[a].seed}, so that they share random numbers "
                    "and cannot count as independent; simulate one of them with another seed"
                )
