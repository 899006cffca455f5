"""`dysonsim examine`: table, report and exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from test_spikes import spiked

from dysonsim.__main__ import main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    random = np.random.default_rng(1)
    start = {
        "fc1": random.normal(size=(30, 20)),
        "fc2": random.normal(size=(20, 12)),
        "head": random.normal(size=(3, 12)),
    }
    trained = start | {"fc1": start["fc1"] + spiked(random, (30, 20), [6.0])[0]}
    np.savez(folder / "start.npz", **start)
    np.savez(folder / "trained.npz", **trained)
    np.savez(folder / "broken.npz", fc1=np.full((9, 9), np.nan))
    return folder


def test_report(files, tmp_path, capsys):
    arguments = ["examine", str(files / "trained.npz"), "--initial", str(files / "start.npz"), "--draws", "199"]
    assert main([*arguments, "--out", str(tmp_path / "new" / "out")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"fc1 +30 x 20 +1 spike on a clean bulk +0\.005", printed)
    assert "not determined (fewer than 8 levels)" in printed
    page = (tmp_path / "new" / "out" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""src\s*=\s*["'](?!data:)""", page)
    assert not re.search(r"<script|<link|@import|url\(", page)
    assert page.index("<table") < page.index("data:image/png")
    assert page.count('<details class="group">') == 3
    assert page.count("data:image/png;base64,iVBOR") == 4
    numbers = json.loads((tmp_path / "new" / "out" / "results.json").read_text(encoding="utf-8"))
    assert [row["layer"] for row in numbers["rows"]] == ["fc1", "fc2", "head"]
    assert main([*arguments, "--layers", "fc*", "--out", str(tmp_path)]) == 0
    some = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert some["rows"] == numbers["rows"][:2]  # the same numbers beside other layers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{}/trained.npz", "--layers", "conv*"], ["'conv*'", "'fc1', 'fc2', 'head'"]),
        (["{}/nothing.npz"], ["nothing.npz"]),
        (["{}/broken.npz"], ["'fc1'", "nan"]),
        (["{}/trained.npz", "--draws", "9"], ["draws = 9", "99"]),
        (["{}/trained.npz", "--initial", "{}/broken.npz"], ["initial"]),
        (["{}/trained.npz", "--out", "{}/trained.npz"], ["out", "directory"]),
    ],
)
def test_bad_input_ends_with_status_2(files, tmp_path, capsys, arguments, words):
    given = ["examine", *(text.format(files) for text in arguments)]
    with pytest.raises(SystemExit) as caught:
        main(given if "--out" in given else [*given, "--out", str(tmp_path)])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("dysonsim examine: error: ")
    assert all(word in said for word in words), said


def test_numpy_files_need_no_torch(files, tmp_path):
    program = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = sys.modules['h5py'] = None\n"
        "from dysonsim.__main__ import main\n"
        f"main(['examine', {str(files / 'trained.npz')!r}, '--draws', '99', '--out', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 spike on a clean bulk" in done.stdout
