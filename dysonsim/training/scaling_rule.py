"""`scaling_rule`: how the widths of a layer's levels grow with the learning rate and the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Levels
from ..inference.estimates import standard_errors
from .fluctuations import NEAR_ZERO
from .pieces import FEWEST_PIECES, FEWEST_RECORDS, Path, groups_of, noise_of_kicks, path_of, sums_over
from .rules import LINEAR, Rule, differences, effective_rates, name_of, rule_of
from .scaling_result import Exponent, Point, ScalingRule
from .segment import Segment, constant_segments

__all__ = ["ScalingRule", "scaling_rule"]

FEWEST_POINTS = 3
BURN_IN = np.arange(0, 13) / 16  # shares of a segment that may be left out at its beginning
CLEARLY = 0.05  # gain in the logarithm of a squared error, for which records are left out
COLLINEAR = 0.05  # relative size of the smaller direction of log alpha, log |B|, below which they vary as one
BAD_FIT = 0.01  # p-value of chi^2, below which errors are widened
MATTERS = 0.5  # share of the groups that must be stationary in all points


def scaling_rule(
    recordings: Sequence[Any],
    layer: str,
    *,
    records: slice | Sequence[slice] | None = None,
    pieces: int = 32,
) -> ScalingRule:
    """Test the scaling rule: fit the exponents of alpha and |B| in the variance of a layer's levels.

    Parameters
    ----------
    recordings : sequence of Recording
        Stationary trainings of one network, in the same minimum, that differ in learning rate and batch size; or one
        training with several segments. Each segment with a learning rate and batch size of its own is a point.
    layer : str
    records : slice, or one slice for each recording, optional
        Which records. By default all, less the beginning of each segment while its levels settle: as much as leaves
        the largest number of independent records.
    pieces : int
        Into how many each segment is cut for its errors, at least 8.

    Returns
    -------
    ScalingRule
        Exponents with errors, and a verdict: "holds", "does not hold", "does not hold: batches without replacement"
        or "not determined", with the reason.

    Raises
    ------
    TypeError, ValueError
        For what are no recordings, a layer that one does not have, learning rates or batch sizes that are not known,
        and fewer than 3 points that differ.
    DivergenceError
        Singular values that are not finite, with `layer` and `step`.

    Notes
    -----
    Fitted is log Var = c + a log alpha + b log|B| by least squares with the error of each point, Var being that of the
    *sums* over groups of levels nearer to each other than three widths: in a sum the repulsion cancels, while single
    levels that collide give exponents of 0.8 to 0.9. The logarithms of all groups are averaged with the same weights in
    all points. Errors of the points are from pieces, with Student's t; those of the exponents are widened by
    sqrt(chi^2/dof) where the power law does not fit, at 1%.

    SGD samples its batches with replacement for a = 1, b = -1 at leading order in alpha (arXiv:2412.20496). With
    momentum m the rate is alpha/(1 - m). For Adam the rule is a = 1, b = -1/2. The kicks of one step have g^2 ~ alpha^2
    /|B|, for Adam alpha^2. Batches that are drawn without replacement, as epochs are, nearly cancel over an epoch: Var
    then goes as alpha^1.8 |B|^-1.8, while the kicks are the same. The verdict is by exponents, not by what the
    recording says of its sampling: an exponent is what was expected where value +- 2 errors lies within 0.25 of it,
    half way to the next rule. For "holds" that must be so of the exponent in what the rule says, alpha/|B|, and those
    in alpha and |B| must be within 0.25 themselves, with errors below 0.125.

    Not valid for runs that sit in different minima, and near the largest stable learning rate.

    Examples
    --------
    >>> import numpy as np, types, dysonsim as ds
    >>> def recording(alpha, rng):
    ...     x = np.zeros((5000, 2))
    ...     for t in range(1, 5000):
    ...         x[t] = (1 - alpha) * x[t - 1] + alpha / 4 * rng.normal(size=2)
    ...     layer = types.SimpleNamespace(singular_values=x + [5, 10], steps=np.arange(5000), learning_rate=alpha,
    ...                                   batch_size=16)
    ...     return {"fc": layer}
    >>> rng = np.random.default_rng(1)
    >>> found = ds.scaling_rule([recording(alpha, rng) for alpha in (0.05, 0.1, 0.2)], "fc")
    >>> found.verdict
    'holds'
    """
    pieces = _checks.integer("pieces", pieces, FEWEST_PIECES, 10**6)
    segments = _segments(recordings, layer, records)
    unsure = [s for s in segments if not (s.learning_rate > 0 and s.batch_size > 0)]
    if unsure:
        raise ValueError(
            f"recordings: learning_rate = {unsure[0].learning_rate:g} and batch_size = {unsure[0].batch_size:g} of "
            f"layer {layer!r} must be known and > 0 in every segment; give them to watch"
        )
    distinct = sorted({(*effective_rates(s.learning_rate, s.optimizer), s.batch_size) for s in segments})
    if len(distinct) < FEWEST_POINTS:
        given = ", ".join(map(_name, segments))
        raise ValueError(
            f"recordings: have {len(distinct)} points of different learning rate or batch size ({given}), must have "
            f"{FEWEST_POINTS} or more"
        )
    levels = {s.levels.shape[1] for s in segments}
    if len(levels) > 1:
        raise ValueError(f"recordings: layer {layer!r} has {sorted(levels)} levels in them, must be one network")
    optimizers = [s.optimizer for s in segments]
    rules = [rule_of(optimizer) for optimizer in optimizers]
    rule = rules[0]
    reasons: list[str] = []
    notes: list[str] = []
    if None in rules:
        unknown = next(name_of(o) for o, r in zip(optimizers, rules, strict=True) if r is None)
        reasons.append(f"no rule is known for the optimizer {unknown!r}")
    elif different := differences(optimizers):
        reasons.append(f"the runs differ in {', '.join(different)}")
    elif not name_of(optimizers[0]):
        notes.append("the optimizer is not known: taken for SGD")
    samplings = {s.sampling for s in segments}
    sampling = samplings.pop() if len(samplings) == 1 else None
    points, groups, why = _points(segments, records is None, pieces)
    reasons += why
    return ScalingRule(
        layer=layer,
        rule=rule or LINEAR,
        points=tuple(points),
        groups=tuple(tuple(group.tolist()) for group in groups),
        sampling=sampling,
        optimizer=name_of(optimizers[0]),
        reasons=tuple(reasons),
        notes=tuple(notes),
        **_exponents(points, rule or LINEAR),
    )


def _segments(recordings: Any, layer: Any, records: Any) -> list[Segment]:
    if not isinstance(recordings, list | tuple) or not recordings:
        raise TypeError(f"recordings = {shown(recordings)}: must be a list of recordings, one for each point or more")
    chosen: Sequence[Levels]
    if records is None or isinstance(records, slice):
        chosen = [records] * len(recordings)
    elif isinstance(records, list | tuple) and all(isinstance(part, slice) for part in records):
        chosen = records
    else:
        raise TypeError(f"records = {shown(records)}: must be None, a slice, or a list of slices, one a recording")
    if len(chosen) != len(recordings):
        raise ValueError(f"records has {len(chosen)} slices: must be {len(recordings)}, one for each recording")
    found = []
    for k, (recording, part) in enumerate(zip(recordings, chosen, strict=True)):
        found += constant_segments(f"recordings[{k}]", recording, layer, part)
    return found


def _settled(segment: Segment) -> Segment:
    """Leave out the beginning that makes the error of the mean larger: K. P. White, Simulation 69, 323 (1997).

    That error is taken for sqrt(variance/records), of what is left.
    """
    levels = segment.levels[:, segment.levels.mean(axis=0) > NEAR_ZERO * segment.levels[:, -1].mean()]
    starts = (BURN_IN * len(levels)).astype(int)
    with np.errstate(divide="ignore"):
        errors = [np.log(levels[start:].var(axis=0) / (len(levels) - start)).mean() for start in starts]
    first = int(starts[np.argmin(errors)])
    return segment.part(first if errors[0] - min(errors) > CLEARLY else 0)


def _points(segments: list[Segment], settle: bool, pieces: int) -> tuple[list[Point], list[np.ndarray], list[str]]:
    """Variances of the points, the groups behind them, and why they may not count."""
    short = [s for s in segments if len(s.levels) < FEWEST_RECORDS]
    if short:
        return [], [], [f"{_name(short[0])} has {len(short[0].levels)} records (at least {FEWEST_RECORDS} are needed)"]
    if settle:
        segments = [_settled(segment) for segment in segments]
    paths = [path_of(segment.levels, pieces) for segment in segments]
    followed = np.all([path.mean > NEAR_ZERO * path.mean.max() for path in paths], axis=0)
    followed &= np.all([path.variance > (1e-12 * path.mean.max()) ** 2 for path in paths], axis=0)
    groups = groups_of(paths, followed) if followed.any() else []
    if not groups:
        return [], [], ["no level moves away from zero"]
    sums = [path_of(sums_over(groups, segment.levels), pieces) for segment in segments]
    good = ~np.any([path.drifts | path.short for path in sums], axis=0)
    reasons = []
    if good.sum() < max(1, MATTERS * len(groups)):
        for segment, path in zip(segments, sums, strict=True):
            drifting, brief = int(path.drifts.sum()), int((path.short & ~path.drifts).sum())
            if drifting:
                reasons.append(f"{_name(segment)}: {drifting} of {len(groups)} sums of levels drift")
            if brief:
                window = float((path.records / path.memory.relaxation).min())
                reasons.append(f"{_name(segment)}: the window is {window:.2g} relaxation times, at least 50 are needed")
    used = good if good.any() else np.ones(len(groups), bool)
    values, errors = _logs(sums, used)
    points = []
    for segment, path, value, error in zip(segments, sums, values, errors, strict=True):
        slow, fast = effective_rates(segment.learning_rate, segment.optimizer)
        steps = int(segment.steps[0]), int(segment.steps[-1])
        window = float((path.records / path.memory.relaxation)[used].min())
        points.append(Point(segment.learning_rate, segment.batch_size, slow, fast, float(value), float(error),
                            *_kicks(segment, followed, pieces), steps, window))  # fmt: skip
    return points, [group for group, use in zip(groups, used, strict=True) if use], reasons


def _logs(sums: list[Path], used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean over the groups of log Var in each point, and its error.

    The variance of a variance is 2/W, W the number of relaxation times. The error that pieces show is taken relative to
    that, and one ratio for all points: of one point it is uncertain itself, and small where Var is found too small.
    """
    windows = np.array([(path.records / path.memory.relaxation)[used] for path in sums])
    weights = windows.mean(axis=0)
    weights /= weights.sum()  # the same in all points, so that they make no difference between them
    values, ratios = [], []
    expected = (weights**2 * 2 / windows).sum(axis=1)
    for path, square in zip(sums, expected, strict=True):
        share = path.variance_influence[used] / path.variance[used][:, None]
        values.append(weights @ (np.log(path.variance[used]) + 0.5 * standard_errors(share) ** 2))
        ratios.append(standard_errors((weights @ share)[None])[0] ** 2 / square)
    return np.array(values), np.sqrt(expected * max(1.0, float(np.mean(ratios))))


def _name(segment: Segment) -> str:
    return f"alpha {segment.learning_rate:g}, |B| {segment.batch_size:g}"


def _kicks(segment: Segment, followed: np.ndarray, pieces: int) -> tuple[float, float]:
    """Mean of log g^2 over the levels, and its error; NaN where kicks were not recorded."""
    if segment.kicks is None or np.isfinite(segment.kicks).all(axis=1).sum() <= FEWEST_RECORDS:
        return np.nan, np.nan
    path = path_of(segment.levels[:, followed], pieces)
    square, without = noise_of_kicks(path, segment.kicks[:, followed])
    logs = np.log(square).mean()
    return float(logs), float(standard_errors((len(path.starts) - 1) * (logs - np.log(without).mean(axis=0))[None])[0])


def _exponents(points: list[Point], rule: Rule) -> dict[str, Exponent | None]:
    names = ("alpha", "batch", "ratio", "kicks_alpha", "kicks_batch")
    if len(points) < FEWEST_POINTS:
        return dict.fromkeys(names)
    slow, fast, batch = (np.log([getattr(p, k) for p in points]) for k in ("rate", "kick_rate", "batch_size"))
    value, error = np.array([p.log_variance for p in points]), np.array([p.log_variance_error for p in points])
    found: dict[str, Exponent | None] = dict.fromkeys(names)
    found["alpha"], found["batch"] = _two(slow, batch, value, error, (rule.alpha, rule.batch))
    predicted = rule.alpha * slow + rule.batch * batch
    found["ratio"] = _fit([predicted], value, error, [1.0])[0]
    kicks, kicks_error = np.array([p.log_kicks for p in points]), np.array([p.log_kicks_error for p in points])
    if np.isfinite(kicks).all():
        expected = (rule.kicks_alpha, rule.kicks_batch)
        found["kicks_alpha"], found["kicks_batch"] = _two(fast, batch, kicks, kicks_error, expected)
    return found


def _two(
    rate: np.ndarray, batch: np.ndarray, value: np.ndarray, error: np.ndarray, expected: tuple[float, float]
) -> list[Exponent | None]:
    """Exponents of the learning rate and of the batch size; None for what does not vary, or only with the other."""
    both = np.stack([rate - rate.mean(), batch - batch.mean()])
    spread = np.abs(both).max(axis=1) > 1e-6
    if spread.all():
        scale = np.linalg.svd(both, compute_uv=False)
        return _fit([rate, batch], value, error, list(expected)) if scale[1] > COLLINEAR * scale[0] else [None, None]
    return [
        _fit([x], value, error, [e])[0] if varies else None
        for x, varies, e in zip((rate, batch), spread, expected, strict=True)
    ]


def _fit(columns: list[np.ndarray], value: np.ndarray, error: np.ndarray, expected: list[float]) -> list:
    """Weighted least squares of value = c + sum exponent x column; None where a column does not vary."""
    from scipy.special import gammaincc

    if any(np.ptp(column) < 1e-6 for column in columns):
        return [None] * len(columns)
    design = np.stack([np.ones_like(value), *columns], axis=1) / error[:, None]
    inverse = np.linalg.inv(design.T @ design)
    solution = inverse @ design.T @ (value / error)
    chi2 = float(((value / error - design @ solution) ** 2).sum())
    dof = len(value) - len(solution)
    widened = (chi2 / dof) ** 0.5 if dof and gammaincc(dof / 2, chi2 / 2) < BAD_FIT else 1.0
    errors = np.sqrt(np.diag(inverse)) * widened
    return [Exponent(float(v), float(e), want, chi2, dof)
            for v, e, want in zip(solution[1:], errors[1:], expected, strict=True)]  # fmt: skip
