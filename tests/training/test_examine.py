"""Examinations: the size of the test, its power, verdicts with controls, numbers that are reproducible."""

from __future__ import annotations

import json
import math
import pickle
import warnings

import numpy as np
import pytest
from test_spikes import spiked

import dysonsim as ds
from dysonsim.training.nulls import choose_null, gaussian_levels, levels_of, shuffled_levels
from dysonsim.training.statistics import pvalues_of, spacing_ratio
from dysonsim.training.verdict import Terms, verdict_on

ENTRIES = {
    "normal": lambda random, shape: random.normal(size=shape),
    "uniform": lambda random, shape: random.uniform(-1, 1, size=shape),
    "t3": lambda random, shape: random.standard_t(3, size=shape),
}


def judged(w, null, seed=0, draws=99, level=0.05):
    """The verdict without controls."""
    return verdict_on("w", w, Terms(null, draws, level, seed))


@pytest.mark.parametrize(("null", "entries"), [("gaussian", "normal"), ("shuffle", "uniform"), ("shuffle", "t3")])
def test_size(null, entries):
    """5% of 200 within 3.3 errors, once in 10^3 seeds. Control: every sixth row is larger."""
    random = np.random.default_rng(11)
    made = [ENTRIES[entries](random, (24, 12)) for _ in range(200)]
    assert abs(np.mean([judged(w, null).rejected(0.05) for w in made]) - 0.05) < 3.3 * math.sqrt(0.05 * 0.95 / 200)
    if entries != "t3":
        scale = np.where(np.arange(24) % 6, 1.0, 2.5)[:, None]
        assert np.mean([judged(w * scale, null).rejected(0.05) for w in made[:30]]) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("null", "entries", "shape"),
    [("gaussian", "normal", (64, 32)), ("gaussian", "normal", (20, 20)), *(("shuffle", k, (32, 12)) for k in ENTRIES)],
)
def test_size_at_one_percent(null, entries, shape):
    """2000 fresh null matrices: .005 to .016 rejected."""
    random = np.random.default_rng(12)
    rejected = [judged(ENTRIES[entries](random, shape), null, k, 999, 0.01).rejected(0.01) for k in range(2000)]
    assert 0.005 <= np.mean(rejected) <= 0.016


def test_power():
    """At 1% for 96 x 48, 6 matrices each: all but one are found, or all."""
    random = np.random.default_rng(13)
    correlated = np.linalg.cholesky(0.4 ** np.abs(np.subtract.outer(range(96), range(96))))
    alternatives = {
        "spike": lambda: spiked(random, (96, 48), [2.2])[0],
        "heavy tails": lambda: random.standard_t(2.5, size=(96, 48)),
        "rows correlated": lambda: correlated @ random.normal(size=(96, 48)),
        "orthogonal": lambda: np.linalg.qr(random.normal(size=(96, 48)))[0],
        "rows of several sizes": lambda: random.normal(size=(96, 48)) * np.linspace(0.2, 2, 96)[:, None],
        "identity": lambda: np.eye(96, 48),
    }
    for name, make in alternatives.items():
        found = [judged(make(), "gaussian", k, 199, 0.01).rejected(0.01) for k in range(6)]
        assert np.mean(found) >= 0.8, name
        if name in ("orthogonal", "rows of several sizes"):
            assert judged(make(), "shuffle", 1, 199, 0.01).rejected(0.01), name


def test_heavy_tails_are_no_finding_against_shuffled_entries():
    """Of 20 matrices of t2.5 entries 1 in 100 is rejected (3 or more: once in 1000 seeds); all by the Gaussian null."""
    random = np.random.default_rng(14)
    made = [random.standard_t(2.5, size=(64, 32)) for _ in range(20)]
    rows = [judged(w, "shuffle", draws=99, level=0.01) for w in made]
    assert sum(row.rejected(0.01) for row in rows) <= 2
    assert sum(judged(w, "gaussian", level=0.01).rejected(0.01) for w in made) > 15
    assert any("heavy tails" in note for row in rows for note in row.notes)


def test_the_bulk_that_spikes_leave_is_tested_honestly():
    """5% of bulks are rejected (of 60: 9 or more once in 500 seeds); control: a bulk whose rows vary in size."""
    random = np.random.default_rng(15)
    scale = np.linspace(0.4, 1.6, 60)[:, None]
    for null in ("gaussian", "shuffle"):
        rows = [judged(spiked(random, (60, 30), [4.0, 3.0])[0], null) for _ in range(60 if null == "gaussian" else 30)]
        assert all(row.spike_count >= 2 for row in rows)
        assert np.mean([row.bulk_pvalue <= 0.05 for row in rows]) < 0.17
        assert rows[0].verdict in ("2 spikes on a clean bulk", "3 spikes on a clean bulk")
        bad = [judged(scale * random.normal(size=(60, 30)), null) for _ in range(10)]
        assert sum(row.verdict == "no Marchenko–Pastur bulk" for row in bad) > 4


def test_pvalue_is_the_rank_of_the_matrix():
    """The largest p, 1, and the least, 1/(draws + 1), and nothing that depends on units."""
    null = gaussian_levels(30, 10, 199, np.random.SeedSequence(1))
    p, alone = pvalues_of(np.r_[null[0, :-1], 50 * null[0, -1]], null, 1 / 3)
    assert p == alone["largest"] == 1 / 200
    assert pvalues_of(1e-9 * null[3], null, 1 / 3)[0] == pvalues_of(null[3], null, 1 / 3)[0]
    ranks = [pvalues_of(null[k], np.delete(null, k, 0), 1 / 3)[0] for k in range(199)]
    np.testing.assert_allclose(np.sort(ranks), np.arange(1, 200) / 199)  # each rank once


def test_null_levels():
    """Those of the matrices that they are said to be: moments within 4 errors. Control: another number of rows."""
    x = gaussian_levels(40, 20, 2000, np.random.SeedSequence(2))
    mean, error = x.mean(), x.mean(axis=1).std() / math.sqrt(2000)
    assert abs(mean - 40) < 4 * error < abs(mean - 41)
    w = np.random.default_rng(3).uniform(size=(12, 9))
    y = shuffled_levels(w, (12, 9), 50, np.random.SeedSequence(4))
    np.testing.assert_allclose(y.sum(axis=1), np.sum(w**2))
    assert len(np.unique(y[:, 0])) == 50
    z = shuffled_levels(w, (8, 5), 50, np.random.SeedSequence(4))
    assert z.shape == (50, 5)
    np.testing.assert_allclose(levels_of(w), np.linalg.svd(w)[1][::-1] ** 2, rtol=1e-10)
    np.testing.assert_allclose(levels_of(w.T), levels_of(w), rtol=1e-10)


def test_which_null_is_chosen():
    assert choose_null("auto", 512, 128, 999) == "shuffle"
    assert choose_null("auto", 750, 750, 999) == "shuffle"
    assert choose_null("auto", 2048, 2048, 999) == "gaussian"
    assert choose_null("auto", 2048, 2048, 9) == "shuffle"
    assert choose_null("auto", 50_000, 64, 999) == "gaussian"
    assert choose_null("shuffle", 10**5, 10**5, 999) == "shuffle"


def test_spacing_ratio_is_universal():
    """0.53 for a random and for a deformed matrix, 400 levels: 0.02 is 1.5 errors of each; control: equal spacings."""
    random = np.random.default_rng(5)
    w = random.normal(size=(10, 300, 200))
    for matrices in (w, w * np.linspace(0.1, 3, 300)[:, None]):
        assert abs(spacing_ratio(levels_of(matrices)).mean() - 0.53) < 0.02
    assert spacing_ratio(np.arange(50.0)[None] ** 2)[0] > 0.99


def layers():
    """A little of everything."""
    random = np.random.default_rng(23)
    start = {name: random.normal(size=(40, 24)) for name in ("noise", "spiked", "bent")}
    start |= {"tiny": random.normal(size=(40, 7)), "constant": np.ones((9, 9))}
    changed = {"spiked": start["spiked"] + spiked(random, (40, 24), [6.0, 5.0])[0]}
    changed["bent"] = start["bent"] * np.linspace(0.05, 2, 24)
    return start, start | changed


def test_verdicts_and_controls():
    start, weights = layers()
    result = ds.examine(weights, initial=start, draws=199)
    assert {row.layer: row.verdict for row in result.rows} == {
        "noise": "follows Marchenko–Pastur",
        "spiked": "2 spikes on a clean bulk",
        "bent": "no Marchenko–Pastur bulk",
        "tiny": "not determined (fewer than 8 levels)",
        "constant": "not determined (all entries are equal)",
    }
    for name in ("noise", "spiked", "bent"):
        assert result[name].initial.verdict == result[name].shuffled.verdict == "follows Marchenko–Pastur"
        assert result[name].null == "shuffle"
        np.testing.assert_allclose(result[name].singular_values, np.linalg.svd(weights[name])[1][::-1], rtol=1e-9)
    assert result["spiked"].spikes.count == 2
    text = str(result)
    assert "2 of 3 layers rejected at 0.01; 0.03 would be if all were random" in text
    assert "initial 0 of 3 rejected" in text
    assert "says nothing about learning" in text
    stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert stored["rows"][1]["spikes"]["count"] == 2
    assert stored["rows"][3]["pvalue"] is None
    assert len(pickle.loads(pickle.dumps(result))) == 5
    with pytest.raises(KeyError, match=r"layer = 'nix': must be one of 'noise'"):
        result["nix"]


def test_numbers_depend_on_seed_name_and_entries_alone():
    _, weights = layers()
    kwargs = {"draws": 99, "level": 0.05}
    whole = ds.examine(weights, **kwargs)
    alone = ds.examine({"spiked": weights["spiked"]}, **kwargs)
    assert alone["spiked"].to_dict() == whole["spiked"].to_dict()
    turned = ds.examine(dict(reversed(weights.items())), **kwargs)
    assert turned["noise"].to_dict() == whole["noise"].to_dict()
    noise = weights["noise"]
    seeds = {
        Terms("auto", 99, 0.05, seed).seeds(layer, role, w).generate_state(1)[0]
        for seed in (0, 1)
        for layer in ("a", "b")
        for role in ("trained", "control")
        for w in (noise, noise + 1e-9)
    }
    assert len(seeds) == 16  # no two matrices meet the same draws
    single = noise.astype(np.float32)
    assert ds.examine(single, **kwargs).to_dict() == ds.examine(single.astype(float), **kwargs).to_dict()


def test_shapes_and_entries_of_every_kind():
    """Each ends in a verdict, without a warning."""
    random = np.random.default_rng(22)
    weights = {
        "square": random.normal(size=(16, 16)),
        "wide": random.normal(size=(9, 300)),
        "half": random.normal(size=(30, 12)).astype(np.float16),
        "low rank": random.normal(size=(30, 2)) @ random.normal(size=(2, 20)),
        "zeros": np.zeros((10, 12)),
        "large": 1e90 * random.normal(size=(12, 10)),
        "small": 1e-90 * random.normal(size=(12, 10)),
        "one entry": np.eye(12, 10) * (np.arange(10) == 3),
        "few values": random.integers(-3, 4, size=(20, 20)).astype(float),
        "dead": np.vstack([random.normal(size=(20, 10)), np.zeros((3, 10))]),
        "mean": 2 + random.normal(size=(20, 10)),
        "nine": random.normal(size=(9, 9)),
    }
    for null in ("shuffle", "gaussian"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = ds.examine(weights, null=null, draws=99)
            json.dumps(result.to_dict(), allow_nan=False)
            assert str(result)
        assert result["low rank"].verdict == "no Marchenko–Pastur bulk"
        assert "rank 2 of 20" in result["low rank"].notes
        assert result["zeros"].verdict == "not determined (all entries are equal)"
        assert "3 rows of zeros" in result["dead"].notes
        assert any("mean of its entries" in note for note in result["mean"].notes)
        for name in ("large", "small", "square", "nine"):
            assert result[name].verdict == "follows Marchenko–Pastur", name
    assert "shuffled, too" in " ".join(ds.examine(weights["mean"], null="gaussian", draws=99)["matrix"].notes)


def test_pictures():
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    start, weights = layers()
    weights["far"] = spiked(np.random.default_rng(1), (40, 24), [40.0])[0]
    start["far"] = weights["noise"]
    result = ds.examine(weights, initial=start, draws=99)
    for name in result.layers:
        _, ax = plt.subplots()
        assert result.plot(ax, layer=name) is ax
        assert result[name].verdict.split(" (")[0] in ax.get_title(loc="left")
        labels = ax.get_legend_handles_labels()[1]
        assert ("2 spikes" in labels) == (name == "spiked")
        assert ("entries shuffled" in labels) == result[name].determined
        assert "before training" in labels
        ax.figure.canvas.draw()
        assert ax.get_xscale() == ("log" if name == "far" else ax.get_xscale())
    assert result.plot().get_xscale() == "log"
    assert result["spiked"].spikes.plot() is not None
    plt.close("all")


def test_bad_input():
    w = np.random.default_rng(0).normal(size=(20, 10))
    cases = [
        (ValueError, {"null": "normal"}, "null = 'normal': must be one of 'auto', 'shuffle', 'gaussian'"),
        (ValueError, {"draws": 50}, r"draws = 50: .* must not exceed level = 0.01; take 99 or more"),
        (TypeError, {"draws": 99.0}, "draws = 99.0: must be an integer"),
        (ValueError, {"level": 0}, "level = 0: must be"),
        (ValueError, {"seed": -1}, "seed = -1"),
        (ValueError, {"initial": {"b": w}}, r"initial has no layer 'a'; it has 'b'"),
        (
            ValueError,
            {"initial": {"a": w.T}},
            r"layer 'a' has shape \(10, 20\), that of weights has \(20, 10\)",
        ),
        (TypeError, {"weights": 3}, "weights is int 3: must be a matrix, a mapping"),
        (ValueError, {"weights": {}}, "there is no matrix with two or more rows and columns"),
        (TypeError, {"weights": {"a": np.ones((9, 9), int)}}, "integers"),
        (ValueError, {"weights": w[0]}, r"weights has shape \(10,\)"),
        (TypeError, {"weights": 1j * w}, "weights is ndarray of dtype complex128"),
        (ValueError, {"weights": 1e200 * w}, r"weights\['matrix'\]\[.*change the units"),
        (OSError, {"weights": "nothing.npz"}, "nothing.npz"),
    ]
    for error, change, message in cases:
        with pytest.raises(error, match=message):
            ds.examine(**({"weights": {"a": w}} | change))
    broken = w.copy()
    broken[2, 1] = math.inf
    for change, name in (({"weights": {"ok": w, "fc": broken}}, "weights"), ({"initial": {"a": broken}}, "initial")):
        with pytest.raises(ds.DivergenceError, match=f"{name}: layer '.*' has 1 of 200 .* inf at") as caught:
            ds.examine(**({"weights": {"a": w}} | change))
    assert caught.value.layer == "a"
    assert caught.value.step is None
    assert pickle.loads(pickle.dumps(caught.value)).layer == "a"


def test_compare_points_here():
    """One matrix's levels count as replicas in `compare`, which says so; those of many matrices do not."""
    random = np.random.default_rng(6)
    levels = levels_of(random.normal(size=(8, 100, 50)))
    law = ds.laws.MarchenkoPastur(0.5, variance=100.0)
    with pytest.warns(RuntimeWarning, match=r"independent networks .* dysonsim.examine tests one matrix"):
        ds.compare(levels[0], law)
    with pytest.raises(ValueError, match=r"rows count as replicas.*dysonsim.examine"):
        ds.compare(levels[:1], law)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.compare(levels, law)
        ds.compare(law.rvs(500, random_state=1), law)
