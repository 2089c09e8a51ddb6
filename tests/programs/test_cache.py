"""The cache of arrays: whole files or none, and silent repair."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from analysis_lib.errors import InputError
from analysis_lib.programs import cache, sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DYNFAULT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SOURCES", {})
    return tmp_path / "cache"


def reader(calls, *, version=1):
    @cache.cached("things", version=version)
    def things():
        calls.append(version)
        return {"x": np.arange(500.0).reshape(50, 10), "name": np.array(["Ferrari, León", "b"])}

    return things


def test_second_call_reads_the_file(folder):
    calls = []
    load = reader(calls)
    first, second = load(), load()
    assert calls == [1]
    assert [p.name for p in folder.iterdir()] == ["things-v1.npz"]
    assert list(first) == list(second)
    for key in first:
        assert first[key].dtype == second[key].dtype
        np.testing.assert_array_equal(first[key], second[key])


def test_another_version_is_another_file(folder):
    calls = []
    reader(calls)()
    reader(calls, version=2)()
    assert calls == [1, 2]
    assert sorted(p.name for p in folder.iterdir()) == ["things-v1.npz", "things-v2.npz"]


def test_readers_are_listed(folder):
    load = reader([])
    assert cache.SOURCES == {"things": load}


@pytest.mark.parametrize("damage", ["empty", "garbage", "half", "flipped", "pickled"])
def test_damaged_file_is_rebuilt(folder, damage):
    calls = []
    load = reader(calls)
    expected = load()
    path = folder / "things-v1.npz"
    whole = bytearray(path.read_bytes())
    if damage == "pickled":
        np.savez(path, x=np.array([{}], dtype=object))
    else:
        middle = len(whole) // 2
        whole[middle] ^= 0xFF
        changed = {"empty": b"", "garbage": b"no archive", "half": whole[:middle], "flipped": whole}
        path.write_bytes(changed[damage])
    np.testing.assert_array_equal(load()["x"], expected["x"])
    assert calls == [1, 1]
    load()
    assert calls == [1, 1]


def test_file_appears_whole_from_a_hidden_one_beside_it(folder, monkeypatch):
    moves = []

    def replace(source, target, original=os.replace):
        assert not Path(target).exists()
        with np.load(source, allow_pickle=False) as file:
            assert file["x"].shape == (50, 10)
        moves.append(Path(source))
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    reader([])()
    (source,) = moves
    assert source.parent == folder
    assert source.name.startswith(".")


def test_failed_write_leaves_nothing_and_says_what_to_do(folder, monkeypatch):
    def replace(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(InputError, match="Permission denied.*DYNFAULT_CACHE"):
        reader([])()
    assert list(folder.iterdir()) == []


def test_objects_are_refused(folder):
    @cache.cached("objects", version=1)
    def objects():
        return {"x": np.array([{}], dtype=object)}

    with pytest.raises(ValueError, match="[Oo]bject"):
        objects()
    assert list(folder.iterdir()) == []


def test_many_at_once(folder):
    load = reader([])
    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(load) for _ in range(32)]]
    assert [p.name for p in folder.iterdir()] == ["things-v1.npz"]
    for result in results:
        np.testing.assert_array_equal(result["x"], results[0]["x"])


def test_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("DYNFAULT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "dynfault-torch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "dynfault-torch"
    monkeypatch.setenv("DYNFAULT_CACHE", str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"


def test_missing_package_is_named(folder, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(sources.reading.importlib, "import_module", missing)
    with pytest.raises(InputError, match="'scikit-image'.*pip install scikit-image"):
        sources.faces()
