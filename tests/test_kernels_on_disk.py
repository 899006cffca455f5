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
from dysonsim.backend import cache, native


@LINUX
class TestForeignCode:
    @pytest.fixture
    def function(self, tmp_path):
        def make():
            def f(x):
                x[0] = 1.0

            return f

        directory = cache.private(tmp_path / "cache", "kernel")
        native.Native(make, directory)(np.zeros(2))
        (file,) = directory.iterdir()
        return file

    def test_what_is_made_is_for_its_owner_alone(self, function):
        assert stat.S_IMODE(function.stat().st_mode) == 0o600
        assert stat.S_IMODE(function.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(function.parent.parent.stat().st_mode) == 0o700
        assert native.Code.read(function) is not None

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_may_write_is_not_read(self, function, mode):
        function.chmod(mode)
        assert native.Code.read(function) is None

    @pytest.mark.parametrize("which", ["root", "kernel"])
    def test_nor_a_directory(self, function, which):
        place = function.parent if which == "kernel" else function.parent.parent
        place.chmod(0o777)
        with pytest.raises(cache.Unsuitable, match="others than its owner may write"):
            cache.private(function.parent.parent, "kernel")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give files away")
    def test_nor_what_belongs_to_another(self, function):
        os.chown(function, 65534, 65534)
        assert native.Code.read(function) is None
        os.chown(function.parent, 65534, 65534)
        with pytest.raises(cache.Unsuitable, match="another user"):
            cache.private(function.parent.parent, "kernel")

    def test_neither_pipes_nor_links_are_followed(self, function):
        whole = function.read_bytes()
        function.unlink()
        os.mkfifo(function)
        assert native.Code.read(function) is None
        function.unlink()
        other = function.parent / "other"
        other.write_bytes(whole)
        function.symlink_to(other)
        assert native.Code.read(function) is None

    def test_every_flipped_bit_is_seen(self, function):
        """Of the header, which says what to link, and some of the code."""
        whole = function.read_bytes()
        for at in [*range(300), *range(300, len(whole), 97)]:
            function.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            assert native.Code.read(function) is None
        function.write_bytes(whole)
        assert native.Code.read(function) is not None
        moved = function.with_name("float64x2.code")  # code for other arguments
        function.rename(moved)
        assert native.Code.read(moved) is None

    def test_code_that_cannot_be_linked_is_compiled_anew(self, function, monkeypatch):
        native.Code("x86_64-unknown-linux-gnu", ("no_such_function",), b"").save(function)

        def make():
            def f(x):
                x[0] = 3.0

            return f

        x = np.zeros(2)
        native.Native(make, function.parent)(x)
        assert x[0] == 3.0

    def test_what_killed_processes_left_is_cleared(self, function):
        old, new = function.parent / "a.tmp", function.parent / "b.tmp"
        old.write_text("")
        new.write_text("")
        os.utime(old, (1, 1))
        assert cache.private(function.parent.parent, function.parent.name) == function.parent
        assert sorted(path.name for path in function.parent.glob("*.tmp")) == ["b.tmp"]


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
    from dysonsim.kernels import singular

    with pytest.warns(RuntimeWarning, match="not kept on disk") as told:
        found = [cache.cache_directory(singular.build, ["x", part]) for part in "ab"]
    assert found == [None, None]
    assert len(told) == 1
