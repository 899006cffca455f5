"""The examples run and show what they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def main(name, **arguments):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module.main(**arguments)


def test_every_example_is_run_here():
    source = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f'main("{path.stem}"' in source


def test_rbm_spectrum(capsys):
    comparisons = main("rbm_spectrum", replicas=1000, steps=6000)
    assert comparisons["spacing"].pvalue > 1e-3
    assert "kappa" in capsys.readouterr().out


def test_teacher_student():
    fit = main("teacher_student", replicas=2000)
    assert "predicted slope" in str(fit)


def test_linear_scaling_scan(tmp_path):
    fits = main("linear_scaling_scan", replicas=48, path=str(tmp_path / "scan.png"))
    assert all(abs(fit.trend_deviation) < 4.5 for fit in fits)
    assert all(fit.prediction * 0.7 < fit.slope < fit.prediction * 1.1 for fit in fits)
    assert (tmp_path / "scan.png").stat().st_size > 10_000


def test_hidden_layer():
    comparisons = main("hidden_layer", replicas=8000)
    assert comparisons["exact"].pvalue > 1e-3
    assert comparisons["one species"].pvalue < 1e-3  # the control


@pytest.mark.slow
def test_deep_networks(tmp_path):
    results = main("deep_networks", replicas=400, path=str(tmp_path / "deep.png"))
    assert results["curve"] < 0.3
    ratios = np.array(list(results["spacings"].values()))
    assert (np.abs(ratios - 1) < 0.15).all()
    assert np.abs(ratios.mean() - 1) < 0.03
    assert max(np.abs(np.array(results["flattening"]) - 1)) < 0.12
    assert (tmp_path / "deep.png").stat().st_size > 10_000


def test_trajectory(tmp_path):
    dynamics = main("trajectory", replicas=500, path=str(tmp_path / "trajectory.png"))
    assert abs(dynamics.beta.deviation(1)) < 4
    assert (tmp_path / "trajectory.png").stat().st_size > 10_000


def test_euler_is_wrong(tmp_path):
    results = main("euler_is_wrong", replicas=2000, path=str(tmp_path / "euler.png"))
    assert (results["Euler with sorting"][:, 2] > 0.5).all()
    assert (abs(results["pairs"][:, 0]) < 4.5 * results["pairs"][:, 1]).all()
    assert (tmp_path / "euler.png").stat().st_size > 10_000


def test_four_levels(capsys):
    levels = main("four_levels", replicas=200)
    assert levels.levels == ("sgd", "langevin", "dyson", "independent", "gas")
    assert abs(levels.quantity("spacing", (0, 1)).deviation("langevin").sigmas) < 4.5
    assert levels.quantity("spacing", (0, 1)).deviation("gas").sigmas > 3  # two species are no gas
    assert "Coulomb gas" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg")
def test_watch_live(tmp_path):
    pytest.importorskip("torch")
    rec = main("watch_live", steps=600, path=str(tmp_path / "live.png"))
    values = rec["0"].singular_values[-1]
    assert values[-3] > 1.2 * values[-4]  # three levels have left the others
    assert rec["0"].singular_values[0, -3] < 1.2 * rec["0"].singular_values[0, -4]  # which they had not before
    assert (tmp_path / "live.png").stat().st_size > 10_000


def test_melting_spectrum(tmp_path):
    distances = main("melting_spectrum", replicas=20, path=str(tmp_path / "melting.png"))
    for law, wider in distances.values():
        assert law < 0.006 < wider or law < 0.5 * wider  # of finite n; the control
    assert (tmp_path / "melting.png").stat().st_size > 10_000


def test_my_own_model():
    assert main("my_own_model", replicas=20_000).pvalue > 1e-3


def test_my_own_model_is_sensitive(monkeypatch):
    """The control: a law 3% too wide is rejected at the example's size."""
    import dysonsim as ds

    compare = ds.compare
    wide = lambda run, law, **how: compare(run, law.replace(scale=1.03 * law.scale), **how)  # noqa: E731
    monkeypatch.setattr(ds, "compare", wide)
    assert main("my_own_model", replicas=20_000).pvalue < 1e-3


def test_momentum_by_hand():
    """False alarms once in 10^4 seeds; the control is the rule that alpha becomes alpha/(1 - m)."""
    ratios = main("momentum_by_hand", replicas=4000)
    ratio, error = ratios["exact"]
    assert abs(ratio - 1) < 4 * error
    ratio, error = ratios["alpha/(1 - m)"]
    assert abs(ratio - 1) > 10 * error


def test_phase_diagram(tmp_path, capsys):
    how = {"inverse_sigma": (4.0, 0.1), "temperature": (0.1, 8.0), "updates": 2000, "progress": False}
    growth = main("phase_diagram", path=str(tmp_path / "phases.png"), **how).maps["spacing_growth"]
    assert growth[0, 1] > growth[0, 0] > 0.2 > abs(growth[1, 0])  # levels diffuse, reach the teacher's, stay
    assert "after 2000 updates" in capsys.readouterr().out
    assert (tmp_path / "phases.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["fixed_point", "drift", "max_learning_rate"])
def test_a_model_without_predictions_says_so(name):
    import numpy as np

    import dysonsim as ds

    class Bare(ds.Model):
        weight_shape = (2, 2)
        __dataclass_fields__: dict = {}  # noqa: RUF012

        def kernel(self, learning_rate, batch_size):
            raise AssertionError

    arguments = {"fixed_point": (), "drift": (np.ones(2), 0.1, 4), "max_learning_rate": (4,)}[name]
    with pytest.raises(NotImplementedError, match=f"Bare states no prediction for {name}"):
        getattr(Bare(), name)(*arguments)


@pytest.mark.slow
def test_real_training(tmp_path):
    """Half a minute that shows that it runs; what it finds takes the full five minutes."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    found = main("real_training", out=tmp_path / "real.png", quick=True)
    assert found["examination"]["blocks.0.up"].initial.verdict == "follows Marchenko–Pastur"
    assert found["rules"][True].verdict.startswith("not determined")  # the runs are far too short, and it says so
    assert (tmp_path / "real.png").stat().st_size > 10_000
