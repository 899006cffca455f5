"""`dysonsim reproduce` from end to end at toy size: files, numbers, figures, code to get them again, failures."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.__main__ import main
from dysonsim.reproduce import TINY, reproduce, sizes
from dysonsim.reproduce import figures as plots
from dysonsim.reproduce.html import render
from dysonsim.reproduce.parts import (
    AGREES,
    DISAGREES,
    EXPECTED,
    compare_finely,
    control_row,
    counted,
    in_words,
    law_row,
    number_row,
    redraw,
)

module = sys.modules["dysonsim.reproduce.command"]
FIGURES = {"spectrum", "surmise", "scaling", "mean_levels", "teacher", "relaxation", "densities", "overview"}
FIGURES |= {"levels", "motion", "linear_levels", "long_range", "optimizers", "phases"}
SEED = 3


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The whole report, through the command line."""
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.SIZES, "quick", TINY)
        status = main(["reproduce", "--quick", "--out", str(out), "--seed", str(SEED)])
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return SimpleNamespace(out=out, status=status, results=results)


def test_every_part_runs_and_exit_status_is_zero(report):
    failed = {name: e.get("traceback") for name, e in report.results["parts"].items() if e["status"] != "ok"}
    assert not failed
    assert report.status == 0
    assert report.results["complete"] is True
    assert report.results["seed"] == SEED


def test_figures_are_written_each_with_caption_and_code(report):
    listed = [figure for entry in report.results["parts"].values() for figure in entry["figures"]]
    assert {figure["name"] for figure in listed} == FIGURES == set(plots.__all__)
    for figure in listed:
        image = (report.out / "figures" / f"{figure['name']}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        width, height = (int.from_bytes(image[k : k + 4]) for k in (16, 20))
        assert width >= 1000
        assert height >= 400
        assert len(figure["caption"]) > 100
        assert 50 < len(figure["alt"]) < 400
        assert "dysonsim" in figure["code"]


def test_html_stands_alone(report):
    html = (report.out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""src\s*=\s*["'](?!data:)""", html)
    assert not re.search(r"""href\s*=\s*["'](?!#)""", html)
    assert not re.search(r"<script|<link|@import|url\(", html)
    embedded = [base64.b64decode(text) for text in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]
    assert set(embedded) == {path.read_bytes() for path in (report.out / "figures").glob("*.png")}
    for row in report.results["summary"]:
        assert escape(row["quantity"]) in html
    for version in report.results["versions"].values():
        assert version in html
    assert f"--seed {SEED}" in html


class Page(HTMLParser):
    """What a page holds: positions of figures and of groups, their summary lines and rows, ids and links."""

    def __init__(self, text):
        super().__init__()
        self.order, self.groups, self.ids, self.links, self.alts = [], [], [], [], []
        self.open, self.cell = None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"][1:]] if "href" in given else []
        if tag == "img":
            self.order.append("figure")
            self.alts.append(given["alt"])
        if tag == "details" and given.get("class") == "group":
            self.order.append("group")
            self.open = {"summary": "", "rows": [], "folded": "open" not in given}
            self.groups.append(self.open)
        if self.open is not None and tag in ("summary", "td"):
            self.cell = ""
        if self.open is not None and tag == "tr":
            self.open["rows"].append([])

    def handle_endtag(self, tag):
        if self.cell is not None and tag == "summary":
            self.open["summary"], self.cell = self.cell, None
        if self.cell is not None and tag == "td":
            self.open["rows"][-1].append(self.cell)
            self.cell = None
        if tag == "details":
            self.open = None

    def handle_data(self, text):
        if self.cell is not None:
            self.cell += text


def count_verdicts(group):
    """Of a group's rows as they are shown, in words."""
    shown = [row[-1] for row in group["rows"] if row]
    agree, expected, disagree = (
        sum(text.startswith(verdict) for text in shown) for verdict in (AGREES, EXPECTED, DISAGREES)
    )
    assert agree + expected + disagree == len(shown)
    return agree, expected, disagree


def test_page_starts_with_figures_and_has_every_comparison_once(report):
    text = (report.out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.order == ["figure"] * len(FIGURES) + ["group"] * len(module.PARTS)
    shown = [row[0] for group in page.groups for row in group["rows"] if row]
    assert sorted(shown) == sorted(row["quantity"] for row in report.results["summary"])
    assert all(group["folded"] for group in page.groups)
    for group, (title, _) in zip(page.groups, module.PARTS.values(), strict=True):
        agree, expected, disagree = count_verdicts(group)
        numbers = tuple(int(word) for word in re.findall(r"(\d+) (?:agree|deviate|disagree)", group["summary"]))
        assert group["summary"].startswith(title)
        assert numbers == (agree, expected, disagree)
    assert min(len(alt) for alt in page.alts) > 50


def test_contents_lead_to_every_part(report):
    page = Page((report.out / "report.html").read_text(encoding="utf-8"))
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.links) <= set(page.ids)
    assert set(module.PARTS) <= set(page.links)
    assert {f"rows-{name}" for name in module.PARTS} <= set(page.links)


def test_page_counts_what_it_shows(report, tmp_path):
    """One verdict changed changes the counts of its group and of no other."""
    changed = json.loads(json.dumps(report.results))
    row = next(row for row in changed["parts"]["teacher"]["rows"] if row["verdict"] == AGREES)
    row["verdict"] = DISAGREES
    before, after = (Page(render(results, report.out)).groups for results in (report.results, changed))
    place = list(module.PARTS).index("teacher")
    for k, (old, new) in enumerate(zip(before, after, strict=True)):
        assert (old["summary"] != new["summary"]) == (k == place)


def test_verdicts_in_words():
    def rows(agree, expected, disagree):
        found = [AGREES] * agree + [EXPECTED] * expected + [DISAGREES] * disagree
        return [{"verdict": verdict} for verdict in found]

    assert in_words(rows(14, 0, 0)) == "All 14 comparisons agree."
    assert in_words(rows(12, 2, 0)) == "12 of 14 comparisons agree and 2 deviate as expected."
    assert in_words(rows(1, 1, 1)) == "1 of 3 comparisons agrees, 1 deviates as expected and 1 disagrees."
    assert in_words(rows(0, 0, 2)) == "Both comparisons disagree."
    assert in_words([]) == "Nothing was compared."
    assert counted(rows(12, 1, 0)) == "12 agree, 1 deviates as expected, 0 disagree"


def test_summary_rows_are_complete(report):
    rows = report.results["summary"]
    assert len(rows) > 40
    for row in rows:
        assert row["verdict"] in (AGREES, EXPECTED, DISAGREES)
        assert row["shown"] or (np.isfinite(row["measured"]) and row["error"] > 0)
        assert row["expected"] or np.isfinite(row["predicted"])
        assert row["verdict"] != EXPECTED or row["why"]


def test_teacher_student_at_toy_size_has_the_predicted_spacing(report):
    """4 points with 48 networks: the mean of measured over exact is 1 within 5 errors (false alarm 6e-7)."""
    line = report.results["parts"]["teacher"]["data"]["fits"]["spacing"]["exact"]["line"]
    assert abs(line["slope"] - 1) < 5 * line["slope_error"]
    assert line["slope_error"] < 0.05  # a spacing without repulsion, or sigma off by sqrt(2), would be far outside


def run_code(report, part, name):
    """Names that the figure's code leaves behind, without its prints."""
    figures = {figure["name"]: figure for figure in report.results["parts"][part]["figures"]}
    names = {"print": lambda *values: None}
    exec(figures[name]["code"], names)
    return names


def test_code_of_the_spectrum_gives_its_numbers(report):
    names = run_code(report, "spectrum", "spectrum")
    data = report.results["parts"]["spectrum"]["data"]
    stored = data["modes"][data["pair"]]["comparison"]["parameters"]
    fitted = ds.laws.TwoLevel.fit(names["pair"])
    np.testing.assert_allclose([fitted.loc, fitted.scale], [stored["loc"], stored["scale"]], rtol=1e-9)


def test_code_of_the_scans_gives_their_numbers(report):
    data = report.results["parts"]["surmise"]["data"]
    k = next(k for k, p in enumerate(data["points"]) if p["learning_rate"] == TINY.spectrum_rate)
    names = run_code(report, "surmise", "surmise")
    np.testing.assert_allclose(names["spacings"].mean(), data["points"][k]["mean_spacing"], rtol=1e-9)
    data = report.results["parts"]["scaling"]["data"]
    names = run_code(report, "scaling", "scaling")
    np.testing.assert_allclose(names["spacing"], data["pairs"][0]["spacing"][k], rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.pi) * names["sigma"], data["pairs"][0]["width"][k], rtol=1e-9)
    names = run_code(report, "scaling", "mean_levels")
    np.testing.assert_allclose(names["means"][7:9].mean() / data["pairs"][0]["kappa"], data["pairs"][0]["level"][k])


def test_code_of_the_optimizers_gives_their_numbers(report):
    data = report.results["parts"]["optimizers"]["data"]
    names = run_code(report, "optimizers", "optimizers")
    np.testing.assert_allclose(names["spacing"], data["points"]["adam"][1]["spacing"], rtol=1e-9)


def test_code_of_the_linear_networks_gives_their_numbers(report):
    data = report.results["parts"]["teacher"]["data"]
    k = data["scan_learning_rate"][-1]
    names = run_code(report, "teacher", "teacher")
    np.testing.assert_allclose(names["mean"], data["spacing"][k], rtol=1e-9)
    np.testing.assert_allclose(names["x"], data["x"][k], rtol=1e-9)
    names = run_code(report, "relaxation", "relaxation")
    network = report.results["parts"]["relaxation"]["data"]["networks"]["mild"]
    np.testing.assert_allclose(names["run"].eigenvalues.mean(axis=0), network["mean"], rtol=1e-9)
    fit = names["fit_path"](names["time"], names["run"].eigenvalues[:, :, 0], 2.0, names["time"][-1])
    np.testing.assert_allclose(fit.gamma, network["levels"][0]["fits"]["late"]["gamma"], rtol=1e-6)
    names = run_code(report, "densities", "densities")
    stored = report.results["parts"]["densities"]["data"]["networks"]["strong"]["fits"]["one species"]
    np.testing.assert_allclose(ds.laws.TwoLevel.fit(names["xi"]).scale, stored["parameters"]["scale"], rtol=1e-9)


def test_code_of_long_range_statistics_gives_their_numbers(report):
    names = run_code(report, "long_range", "long_range")
    stored = report.results["parts"]["long_range"]["data"]["curves"]["number variance"]["sgd"]
    np.testing.assert_allclose(names["curve"].value, stored["value"], rtol=1e-9)
    rows = report.results["parts"]["long_range"]["rows"]
    assert len(rows) == 14
    assert {row["verdict"] for row in rows[:12]} <= {AGREES, EXPECTED}


@pytest.mark.filterwarnings("ignore:batches are not Gaussian enough")
def test_code_of_the_levels_of_description_gives_their_numbers(report):
    data = report.results["parts"]["levels"]["data"]
    levels = run_code(report, "levels", "levels")["descriptions"]
    group = ds.GaussianRBM.scalar_field(10, 2.0, 3.0).degenerate_groups()[-1]  # the pair of the smallest kappa
    unit = (data["ratio"][0] * (9 - data["pairs"][0]["kappa"])) ** 0.5
    for name in levels.levels:
        expected = np.array(levels.quantity("spacing", group).values[name]) / unit
        np.testing.assert_allclose(data["pairs"][0]["spacing"][name][0], expected, rtol=1e-9)
    names = run_code(report, "motion", "motion")
    data = report.results["parts"]["motion"]["data"]
    np.testing.assert_allclose(names["descriptions"].path("langevin")[0], data["paths"]["langevin"]["mean"], rtol=1e-9)
    later = names["later"].eigenvalues.mean(axis=0)
    np.testing.assert_allclose(later, data["later"]["paths"]["dyson"]["mean"], rtol=1e-9)
    np.testing.assert_allclose(later[0], np.array(data["paths"]["sgd"]["mean"])[data["later"]["first"]], rtol=1e-9)
    levels = run_code(report, "linear_levels", "linear_levels")["descriptions"]
    network = report.results["parts"]["linear_levels"]["data"]["networks"]["strong"]
    exact = levels.sgd.model.singular_value_spacings(0.02, 16)[0]
    expected = np.array(levels.quantity("spacing", (0, 1)).values["gas"]) / exact
    np.testing.assert_allclose(network["spacing"]["gas"][1], expected, rtol=1e-9)


def test_levels_of_description_at_toy_size(report):
    """24 networks already tell the gas and, on the way, Dyson from SGD; Langevin is with it (4.5 sigma)."""
    rows = {row["quantity"]: row for row in report.results["summary"]}
    for rate in TINY.level_rates:
        quantity = "RBM, 10³ (λ/κ − 1) of {} compared with SGD, mean of the pairs, α = {:g}"
        assert rows[quantity.format("Coulomb gas", rate)]["deviation"] < -5
        assert abs(rows[quantity.format("Langevin", rate)]["deviation"]) < 4.5
    assert rows["RBM, largest |Δx̄ᵢ(t)| of Dyson from SGD, start at W₀"]["deviation"] > 5
    assert rows["RBM, largest |Δx̄ᵢ(t)| of Dyson from SGD, start at SGD's eigenvalues at t = 50"]["measured"] < 0.5


def test_figures_can_be_drawn_again_from_the_file(report, tmp_path, monkeypatch):
    (tmp_path / "results.json").write_bytes((report.out / "results.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(redraw("teacher"), {})
    assert (tmp_path / "teacher.png").read_bytes() == (report.out / "figures" / "teacher.png").read_bytes()


def test_same_seed_same_numbers_another_seed_others(report, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PARTS", {"teacher": module.PARTS["teacher"]})
    again = reproduce(tmp_path, TINY, SEED, echo=lambda text: None)
    other = reproduce(tmp_path, TINY, SEED + 1, echo=lambda text: None)
    assert again["parts"]["teacher"] == report.results["parts"]["teacher"]
    assert other["parts"]["teacher"]["data"]["spacing"] != again["parts"]["teacher"]["data"]["spacing"]


def test_verdicts():
    assert number_row("x", 1.0, 0.1, 1.2).verdict == AGREES
    assert number_row("x", 1.0, 0.1, 1.6, allowed=0.5, why="order").verdict == EXPECTED
    assert number_row("x", 1.0, 0.1, 2.6, allowed=0.5, why="order").verdict == DISAGREES
    assert number_row("x", 1.0, 0.01, 1.2).verdict == DISAGREES
    assert number_row("x", 1.0, 0.1, 1.2).deviation == pytest.approx(-2)


def test_laws_that_describe_the_data_and_laws_that_do_not():
    rng = np.random.default_rng(5)
    surmise = ds.laws.WignerSurmise(1, 1.0)
    right = [compare_finely(surmise.rvs((400, 2), rng), surmise, 999, fit="all") for _ in range(3)]
    assert law_row("right", right).verdict == AGREES
    poisson = compare_finely(rng.exponential(size=(400, 2)), surmise, 999, fit="all")
    assert law_row("no repulsion", [*right, poisson]).verdict == DISAGREES
    assert law_row("no repulsion", [*right, poisson], allowed=0.5, why="off by half").verdict == EXPECTED
    assert control_row("control", poisson.pvalue).verdict == AGREES
    assert control_row("control", right[0].pvalue).verdict == DISAGREES


def test_version():
    command = [sys.executable, "-m", "dysonsim", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"dysonsim {ds.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["reproduce", "--seed", "-1"], "seed = -1"),
        (["reproduce", "--seed", "many"], "--seed"),
        (["reproduce", "--out", "{file}/report"], "out = "),
        (["reproduce", "--fast"], "--fast"),
        (["invent"], "invent"),
    ],
)
def test_bad_arguments_are_named(arguments, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main([text.format(file=tmp_path / "file") for text in arguments])
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err


def test_without_a_command_it_prints_how_to_use_it(capsys):
    assert main([]) == 2
    assert "reproduce" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"size": "huge"}, ValueError, "size"),
        ({"size": 3}, TypeError, "size"),
        ({"seed": 1.5}, TypeError, "seed"),
    ],
)
def test_bad_calls_are_named(change, error, named, tmp_path):
    with pytest.raises(error, match=named):
        reproduce(tmp_path, **change)
