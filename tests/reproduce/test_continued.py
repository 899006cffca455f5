"""Reports of which a part fails, or that are interrupted and continued; their scans are those of `simulate`."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from dysonsim.__main__ import main
from dysonsim.reproduce import TINY
from dysonsim.reproduce.ensembles import Ensembles
from dysonsim.reproduce.parts import Figure, Part, number_row

module = sys.modules["dysonsim.reproduce.command"]


def good(ensembles):
    return Part({"number": 1.0}, rows=[number_row("a number", 1.0, 0.1, 1.1)])


def bad(ensembles):
    raise ArithmeticError("the part that was made to fail")


def undrawable(ensembles):
    return Part({}, [Figure("nothing", "", "", "")])


@pytest.mark.parametrize(("function", "message"), [(bad, "made to fail"), (undrawable, "no attribute 'nothing'")])
def test_a_part_that_fails_is_reported_and_the_others_run(tmp_path, monkeypatch, capsys, function, message):
    parts = {"first": ("First", function), "second": ("Second", good)}
    monkeypatch.setattr(module, "PARTS", parts)
    assert main(["reproduce", "--out", str(tmp_path)]) == 1
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["complete"] is False
    assert results["parts"]["first"]["status"] == "failed"
    assert message in results["parts"]["first"]["traceback"]
    assert results["parts"]["second"]["status"] == "ok"
    assert results["parts"]["second"]["data"] == {"number": 1.0}
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ArithmeticError" in html or "AttributeError" in html
    printed = capsys.readouterr().out
    assert "First: failed" in printed
    assert "Second: ok" in printed


def test_an_interruption_leaves_what_was_finished(tmp_path, monkeypatch, capsys):
    def interrupted(ensembles):
        raise KeyboardInterrupt

    parts = {"first": ("First", good), "second": ("Second", interrupted), "third": ("Third", good)}
    monkeypatch.setattr(module, "PARTS", parts)
    assert main(["reproduce", "--out", str(tmp_path)]) == 130
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    states = [entry["status"] for entry in results["parts"].values()]
    assert states == ["ok", "not run", "not run", "not run"]
    assert results["summary"][0]["quantity"] == "a number"
    assert "interrupted" in capsys.readouterr().out


def test_an_interrupted_report_is_continued(tmp_path, monkeypatch, capsys):
    calls = []

    def counted_part(ensembles):
        calls.append(ensembles.seed)
        return good(ensembles)

    def interrupted(ensembles):
        raise KeyboardInterrupt

    parts = {"first": ("First", counted_part), "second": ("Second", interrupted)}
    monkeypatch.setattr(module, "PARTS", parts)
    monkeypatch.setattr(module.overview, "measure", good)
    assert main(["reproduce", "--out", str(tmp_path)]) == 130
    parts["second"] = ("Second", good)
    assert main(["reproduce", "--out", str(tmp_path)]) == 0
    assert "1 of 2 parts are there already" in capsys.readouterr().out
    assert calls == [0]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["complete"] is True
    assert [row["quantity"] for row in results["summary"]] == ["a number"] * 3
    assert main(["reproduce", "--out", str(tmp_path)]) == 0  # a whole report is made anew
    assert calls == [0, 0]


def test_another_report_is_not_continued(tmp_path, monkeypatch):
    seeds = []

    def first(ensembles):
        seeds.append(ensembles.seed)
        return good(ensembles)

    monkeypatch.setattr(module, "PARTS", {"first": ("First", first), "second": ("Second", bad)})
    for seed in ("0", "1", "1"):
        assert main(["reproduce", "--out", str(tmp_path), "--seed", seed]) == 1
    assert seeds == [0, 1]
    (tmp_path / "results.json").write_text('{"complete": false, "parts": 3}')
    assert main(["reproduce", "--out", str(tmp_path), "--seed", "1"]) == 1
    assert seeds == [0, 1, 1]


def test_points_of_the_grids_are_those_of_simulate(tmp_path):
    stored, held = Ensembles(TINY, 5, tmp_path), Ensembles(TINY, 5)
    for at in stored.teacher:
        point = stored.teacher[at]
        names = {"np": np}
        exec(point.code(), names)
        np.testing.assert_array_equal(names["run"].eigenvalues, point.run.eigenvalues)
        np.testing.assert_array_equal(held.teacher[at].levels, point.levels)
    again = Ensembles(TINY, 5, tmp_path).teacher
    assert all(np.array_equal(point.levels, again[at].levels) for at, point in stored.teacher.items())
