"""Kernels that are kept on disk: whose they must be, and what befalls them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from another_python import LINUX

import dysonsim as ds
from dysonsim.backend import cache
from dysonsim.backend.compiled import Compiled


@LINUX
class TestForeignCode:
    @pytest.fixture
    def folder(self, tmp_path):
        """Of a compiled function, with everything that Numba wrote there."""

        def make():
            def f(x):
                x[0] = 1.0

            return f

        folder = cache.private(tmp_path / "cache", "kernel")
        Compiled(make, folder)(np.zeros(2))
        assert cache.intact(folder)
        return folder

    def test_what_is_made_is_for_its_owner_alone(self, folder):
        for path in [folder.parent, folder, *folder.rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_may_write_is_not_read(self, folder, mode):
        for path in [p for p in folder.rglob("*") if p.is_file()]:
            before = path.stat().st_mode
            path.chmod(mode)
            assert not cache.intact(folder)
            path.chmod(before)
        assert cache.intact(folder)

    @pytest.mark.parametrize("which", ["root", "kernel"])
    def test_nor_a_directory(self, folder, which):
        place = folder if which == "kernel" else folder.parent
        place.chmod(0o777)
        with pytest.raises(cache.Unsuitable, match="others than its owner may write"):
            cache.private(folder.parent, "kernel")

    def test_nor_in_a_directory_within(self, folder):
        (folder / "__pycache__").chmod(0o777)
        assert not cache.intact(folder)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give files away")
    def test_nor_what_belongs_to_another(self, folder):
        os.chown(next(folder.rglob("*.nbc")), 65534, 65534)
        assert not cache.intact(folder)
        os.chown(folder, 65534, 65534)
        with pytest.raises(cache.Unsuitable, match="another user"):
            cache.private(folder.parent, "kernel")

    def test_links_are_not_followed(self, folder):
        file = next(folder.rglob("*.nbc"))
        other = folder.parent / "other"
        file.rename(other)
        file.symlink_to(other)
        assert not cache.intact(folder)

    def test_every_flipped_bit_is_seen(self, folder):
        for file in [p for p in folder.rglob("*") if p.is_file()]:
            whole = file.read_bytes()
            for at in range(0, len(whole), max(1, len(whole) // 60)):
                file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
                assert not cache.intact(folder)
            file.write_bytes(whole)
        assert cache.intact(folder)


def test_sources_that_changed_since_the_import_or_are_not_there(monkeypatch):
    monkeypatch.setattr(cache, "IMPORTED", 0.0)
    with pytest.raises(cache.Unsuitable, match="has changed since it was imported"):
        cache.source_hash.__wrapped__()
    monkeypatch.setattr(cache, "PACKAGE", Path("/nowhere"))
    with pytest.raises(cache.Unsuitable, match="no source files"):
        cache.source_hash.__wrapped__()


def test_the_key_names_dysonsim_and_python():
    assert ds.__version__ in cache.settings()
    assert any(setting.startswith(sys.implementation.cache_tag) for setting in cache.settings())


def test_nowhere_to_keep_kernels_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DYSONSIM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("")
    cache.say_once.cache_clear()
    from dysonsim.kernels.common import singular

    with pytest.warns(RuntimeWarning, match="not kept on disk") as told:
        found = [cache.cache_directory(singular.build, (), "x", part) for part in "ab"]
    assert found == [None, None]
    assert len(told) == 1
