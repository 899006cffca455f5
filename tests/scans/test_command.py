"""`dysonsim scan`: a script's scan from the command line."""

from __future__ import annotations

import textwrap

import pytest

from dysonsim.__main__ import main

pytest.importorskip("zarr")

SCRIPT = """
    import sys
    import numpy as np
    import dysonsim as ds

    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)

    def training(learning_rate):
        return ds.SGD(model, learning_rate, 4)

    if __name__ == "__main__":
        scan = ds.scan(training, {{"learning_rate": {rates}}}, replicas=8, steps=10, seed=1, progress=False{path})
        print("after")
"""


@pytest.fixture
def script(tmp_path):
    def write(rates="[0.05, 0.1]", path=True):
        file = tmp_path / "my_scan.py"
        where = f", path={str(tmp_path / 'scan.zarr')!r}" if path else ""
        file.write_text(textwrap.dedent(SCRIPT.format(rates=rates, path=where)))
        return str(file)

    return write


def refused(*arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["scan", *arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_run_resumed_and_told(script, tmp_path, capsys):
    file = script()
    assert main(["scan", file, "--status"]) == 0
    assert "nothing done" in capsys.readouterr().out
    assert main(["scan", file]) == 0
    assert "2 done, 0 failed, 0 left" in capsys.readouterr().out
    assert "give --resume to go on with it" in refused(file, capsys=capsys)
    assert main(["scan", file, "--resume"]) == 0
    assert "after" in capsys.readouterr().out
    for what in file, str(tmp_path / "scan.zarr"):
        assert main(["scan", what, "--status"]) == 0
        printed = capsys.readouterr().out
        assert "2 done, 0 failed, 0 left" in printed
        assert "after" not in printed


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_failed_points_show_in_the_exit_status(script, capsys):
    assert main(["scan", script("[0.1, -1.0]", path=False)]) == 1
    assert "1 done, 1 failed, 0 left; in memory" in capsys.readouterr().out
    assert "nothing of it is kept" in refused(script(path=False), "--status", capsys=capsys)


def test_what_is_no_scan(tmp_path, capsys):
    assert "must be a Python script" in refused(str(tmp_path / "nothing.py"), capsys=capsys)
    (tmp_path / "empty.py").write_text("")
    assert "must call dysonsim.scan, and does not" in refused(str(tmp_path / "empty.py"), capsys=capsys)
