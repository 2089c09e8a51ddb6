"""R9, R12 to R14, R17, R20, R22: the journal and the store under attack."""

import ast
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest
from corpus_kit import CATEGORIES, NAMES, PROGRAMS, journal_of, label, plan_of, row_of, store_of
from corpus_stub import TRAINER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torture_kit import DRIVER, STORE, digest_of, runs_of, save, stored, until

from analysis_lib import ROOT
from analysis_lib.cli import main
from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.load import load_corpus
from analysis_lib.corpus.publish import publish
from analysis_lib.corpus.schema import from_bytes, spec_id
from analysis_lib.corpus.verify import verify_store
from analysis_lib.errors import InputError

QUIET = {"trainer": TRAINER, "progress": False}
PUBLISHER = """
import sys
from corpus_kit import CATEGORIES, PROGRAMS, label
from analysis_lib.corpus.publish import publish
publish(sys.argv[1], sys.argv[2], programs=PROGRAMS, categories=CATEGORIES, label=label)
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_r09_full_disk(small_disk, tmp_path, count):
    plan, path, told = runs_of(40, "healthy"), small_disk / "j.db", [0]
    with pytest.raises(InputError, match="no space left for .*j.db; free some and start again"):
        generate(
            plan, path, workers=2, on_result=lambda s: told.append(s.recorded.total()), **QUIET
        )
    subprocess.run(["mount", "-o", "remount,size=20M", small_disk], check=True)
    kept = stored(path)
    assert 0 < told[-1] < len(plan)
    generate(plan, path, workers=2, **QUIET)
    with Journal(path) as journal:
        sound = journal.integrity()
    count(
        "R9",
        "disk full under the journal, then space again",
        faults=1,
        records=len(stored(path)),
        lost=max(0, told[-1] - len(kept))
        + len(kept.items() - stored(path).items())
        + len(plan)
        - len(stored(path)),
        wrong=int(sound != "ok"),
        measured=f"{len(kept)} runs before it was full",
    )


def test_r09_full_disk_under_the_store(small_disk, tmp_path, count):
    plan, store = plan_of(seeds=8), small_disk / "store"
    journal = journal_of(tmp_path / "j.db", plan)
    with pytest.raises(InputError, match="cannot write .*store .*; free space, or choose"):
        publish(journal, store, **STORE)
    left = [p.name for p in small_disk.iterdir()]
    subprocess.run(["mount", "-o", "remount,size=20M", small_disk], check=True)
    publish(journal, store, **STORE)
    count(
        "R9",
        "disk full under the publication, then space again",
        faults=1,
        records=len(load_corpus(store).runs),
        lost=len(plan) - len(load_corpus(store).runs),
        wrong=len(left) + int(not verify_store(store, label=label)["ok"].all()),
    )


def test_r09_disk_that_cannot_be_written(small_disk, tmp_path, count):
    plan, path = plan_of(seeds=1), small_disk / "j.db"
    subprocess.run(["mount", "-o", "remount,size=20M", small_disk], check=True)
    journal_of(path, plan[:4])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    kept = stored(path)
    with pytest.raises(InputError, match=r"cannot write .*j.db.lock \(Read-only file system\)"):
        generate(plan, path, **QUIET)
    with pytest.raises(InputError, match=r"cannot write .*s \(Read-only file system\)"):
        publish(path, small_disk / "s", programs=PROGRAMS, categories=CATEGORIES, label=label)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    generate(plan, path, **QUIET)
    count(
        "R9",
        "disk that cannot be written, under the journal and the publication",
        faults=2,
        records=len(stored(path)),
        lost=4
        - len(kept)
        + len(kept.items() - stored(path).items())
        + len(plan)
        - len(stored(path)),
    )


def test_r09_damaged_and_foreign_journals(tmp_path, count):
    path, wrong = tmp_path / "j.db", 0
    cases = {
        "random bytes": random.Random(0).randbytes(8192),
        "text": b"run_id,status\n" * 400,
        "a folder": None,
    }
    for content in cases.values():
        if content is None:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(content)
        with pytest.raises(InputError, match="j.db") as caught:
            generate(runs_of(1, "healthy"), path, **QUIET)
        words = "is a folder" if content is None else "not a journal of this program"
        wrong += words not in str(caught.value) or "\n" in str(caught.value)
    count("R9", "files that are not journals", faults=len(cases), records=0, wrong=wrong)


def test_r09_second_driver(start, tmp_path, count):
    plan, path = runs_of(30, s=0.05), tmp_path / "j.db"
    driver = start(DRIVER, path, save(tmp_path, plan), "threads:2", '{"progress": false}')
    assert until(lambda: stored(path), driver)
    with pytest.raises(InputError, match=f"in use: process {driver.pid} on .*corpus status"):
        generate(plan, path, **QUIET)
    driver.communicate()
    lost = len(plan) - len(stored(path))
    count("R9", "a second driver", faults=1, records=len(stored(path)), lost=lost)


def test_r12_killed_publications(start, tmp_path, size, count):
    plan, rng = plan_of(seeds=8), random.Random(0)
    journal, kills = journal_of(tmp_path / "j.db", plan), size(3, 30)
    script = tmp_path / "publish.py"
    script.write_text(PUBLISHER)
    absent = whole = broken = 0
    for at in range(kills):
        store = tmp_path / f"s{at % 2}"  # every second time there is one before
        process = start(script, journal, store)
        beside = f".{store.name}.building-{process.pid}"
        until(lambda: (tmp_path / beside).exists(), process, 60)  # noqa: B023
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not store.exists():
            absent += 1
        elif verify_store(store, label=label)["ok"].all():
            whole += 1
        else:
            broken += 1
        if at % 4 == 3:
            shutil.rmtree(store, ignore_errors=True)
    publish(journal, tmp_path / "s0", **STORE)
    publish(journal, tmp_path / "s1", **STORE)
    left = [p.name for p in tmp_path.iterdir() if "building" in p.name]
    count(
        "R12",
        "SIGKILL of the publication",
        faults=kills,
        records=absent + whole,
        wrong=broken + len(left),
        measured=f"{absent} times no store, {whole} times a whole one",
    )


def test_r13_same_bytes(tmp_path, count):
    plan = plan_of(seeds=4)
    manifests = []
    for at, order in enumerate([plan, plan[::-1], random.Random(0).sample(plan, len(plan))]):
        journal = journal_of(tmp_path / f"{at}.db", order)
        publish(journal, tmp_path / f"s{at}", plan=order, **STORE)
        manifests.append((tmp_path / f"s{at}" / "manifest.json").read_bytes())
    count(
        "R13",
        "published from three journals in different order",
        faults=0,
        records=3 * len(plan),
        wrong=len(set(manifests)) - 1,
    )


def test_r14_flipped_bits(tmp_path, size, count):
    store, rng = store_of(tmp_path, plan_of()), np.random.default_rng(0)
    expected, found, silent, harmless = load_corpus(store), 0, 0, 0
    expected = [expected.runs, expected.epochs, expected.layers, dict(expected.manifest)]
    pages = sorted(p for p in store.rglob("*.parquet"))
    kinds = [
        ("data page", size(40, 400), lambda f: (4, f.stat().st_size - footer(f) - 8)),
        ("footer", size(10, 50), lambda f: (f.stat().st_size - footer(f) - 8, f.stat().st_size)),
        ("manifest", size(10, 50), lambda f: (0, f.stat().st_size)),
    ]
    for kind, flips, region in kinds:
        for _ in range(flips):
            manifest = kind == "manifest"
            file = store / "manifest.json" if manifest else pages[rng.integers(len(pages))]
            whole = file.read_bytes()
            content = bytearray(whole)
            content[rng.integers(*region(file))] ^= 1 << rng.integers(8)
            file.write_bytes(content)
            try:
                corpus = load_corpus(store)
                tables = [corpus.runs, corpus.epochs, corpus.layers]
                same = all(a.equals(b) for a, b in zip(tables, expected, strict=False))
                same = same and {**corpus.manifest, "seal": 0} == {**expected[3], "seal": 0}
                harmless, silent = harmless + same, silent + (not same)
            except InputError:
                found += 1
            file.write_bytes(whole)
    flips = sum(kind[1] for kind in kinds)
    count(
        "R14",
        "one flipped bit in data pages, footers, and the manifest",
        faults=flips,
        records=found + harmless,
        wrong=silent,
        measured=f"{found} refused, {harmless} without effect, {silent} silent",
    )


def footer(file):
    """Length of the footer of a Parquet file."""
    return int.from_bytes(file.read_bytes()[-8:-4], "little")


@pytest.mark.full_size
def test_r17_as_many_runs_as_the_study(tmp_path, count):
    names, at = list(NAMES), time.monotonic()
    plan = [Run(Configuration(names[n % 3], "healthy"), n // 3) for n in range(5542)]
    summary = generate(plan, tmp_path / "j.db", workers=2, **QUIET)
    made = time.monotonic() - at
    digest_of(tmp_path / "j.db", tmp_path, plan)
    store = tmp_path / "store-j"
    size_mb = sum(p.stat().st_size for p in store.rglob("*") if p.is_file()) / 1e6
    journal_mb = (tmp_path / "j.db").stat().st_size / 1e6
    at = time.monotonic()
    corpus = load_corpus(store)
    load = time.monotonic() - at
    count(
        "R17",
        "5,542 runs of a stand-in trainer, published and loaded",
        faults=0,
        records=len(corpus.runs),
        lost=summary.remaining,
        measured=f"{made:.0f} s (goal 300) at load {os.getloadavg()[0]:.0f}, journal "
        f"{journal_mb:.0f} MB (goal 80), corpus {size_mb:.0f} MB (goal 50) of incompressible "
        f"numbers, loaded in {load:.1f} s (goal 2)",
    )


class Hostile:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


def test_r20_hostile_files_run_nothing(tmp_path, count):
    mark, tried = tmp_path / "mark", 0
    payload = pickle.dumps(Hostile(mark))
    pickle.loads(payload).close()  # it would work
    mark.unlink()
    store = store_of(tmp_path, plan_of())
    files = [p for p in store.rglob("*") if p.is_file()]
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(payload)
        try:
            load_corpus(store).layers.size  # noqa: B018
        except InputError:
            tried += 1
        try:
            verify_store(store, label=label)
        except InputError:
            pass
        file.write_bytes(whole)
    journal = tmp_path / "hostile.db"
    journal.write_bytes(payload)
    with pytest.raises(InputError, match="not a journal"):
        Journal(journal)
    for blob in (payload, pickle.dumps(pd.DataFrame())):
        with pytest.raises(InputError, match="not an Arrow IPC stream"):
            from_bytes(blob)
    assert tried >= 7
    count(
        "R20",
        "pickles in place of every file of a store, a journal, a trace",
        faults=len(files) + 3,
        records=0,
        wrong=int(mark.exists()),
        measured="nothing was executed",
    )


def test_r20_names_of_parameters_are_no_code(tmp_path, capsys, count):
    mark, refused = tmp_path / "mark", 0
    names = [
        f"n=1\nopen({str(mark)!r}, 'w')",
        f"open({str(mark)!r}, 'w').close() or n",
        "n;m",
        "a b",
    ]
    for name in names:
        refused += main(["notebooks", "--only", "11", "-p", f"{name}=1"]) == 2
        capsys.readouterr()
    count(
        "R20",
        "notebook parameters whose names hold code",
        faults=len(names),
        records=0,
        wrong=len(names) - refused + mark.exists(),
        measured="nothing was executed",
    )


def test_r20_no_call_that_could_run_what_it_reads(count):
    calls, files = [], list((ROOT / "analysis_lib").rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
            elif isinstance(node, ast.Call):
                names = [ast.unparse(node.func)]
                names += [f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords]
            calls += [f"{file.name}: {name}" for name in names if name in RUNS_CODE]
    for trusted in TRUSTED:
        assert calls.count(trusted) == 1, trusted
        calls.remove(trusted)
    what = "imports and calls that load code, in the whole package"
    count("R20", what, faults=0, records=len(files), wrong=len(calls), measured="; ".join(calls))


TRUSTED = {
    "texts.py: pickle",  # a file of an installed package, which is trusted as its code is
    "child.py: pickle",  # a program that the parent process has sent by value through a pipe
    "corpus.py: cloudpickle",  # sends it, and reads nothing
    "registry.py: cloudpickle",  # lets a technique's own file be sent, and reads nothing
}
RUNS_CODE = {
    *("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib.load"),
    *("pd.read_pickle", "pandas.read_pickle", "torch.load", "yaml.load", "yaml.unsafe_load"),
    *("eval", "exec", "os.system", "shell=True", "allow_pickle=True", "weights_only=False"),
}

SCALARS = st.one_of(
    st.text(max_size=8), st.integers(-(10**9), 10**9), st.booleans(), st.floats(-1e6, 1e6)
)
RUNS = st.builds(
    lambda program, operator, parameters, seed, epochs: Run(
        Configuration(program, operator, parameters), seed, epochs
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["healthy", "HLR", "HBS"]),
    st.dictionaries(st.text(min_size=1, max_size=6), SCALARS, max_size=3),
    st.integers(0, 9999),
    st.integers(1, 4),
)


@cache
def cases():
    """1,000 cases in the full torture, 50 every day."""
    return 1000 if os.environ.get("TORTURE") == "full" else 50


TRIED = Counter()


@settings(deadline=None, max_examples=cases(), suppress_health_check=list(HealthCheck))
@given(run=RUNS, seed=st.randoms())
def test_r22_key_and_specification_determine_each_other(run, seed):
    names = list(run.spec)
    seed.shuffle(names)
    shuffled = json.loads(json.dumps({name: run.spec[name] for name in names}))
    again = Run.from_spec(shuffled)
    assert (again, again.run_id, again.key) == (run, run.run_id, run.key)
    assert spec_id(shuffled) == run.run_id
    streams = ("weights", "data", "order", "fault")
    assert [again.seed_of(s) for s in streams] == [run.seed_of(s) for s in streams]
    healthy = Run(run.configuration.twin, run.seed, run.epochs)
    assert [healthy.seed_of(s) for s in streams[:3]] == [run.seed_of(s) for s in streams[:3]]
    other = Run(run.configuration, run.seed + 1 if run.seed < 10_000 else 0, run.epochs)
    assert other.run_id != run.run_id and other.seed_of("weights") != run.seed_of("weights")
    TRIED["keys"] += 1


@settings(
    deadline=None, max_examples=max(10, cases() // 20), suppress_health_check=list(HealthCheck)
)
@given(plan=st.lists(RUNS, min_size=1, max_size=5, unique_by=lambda run: run.run_id))
def test_r22_journal_to_parquet_and_back(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("round")
    journal = journal_of(folder / "j.db", plan)
    publish(journal, folder / "s", programs=PROGRAMS, categories=CATEGORIES, label=label)
    corpus = load_corpus(folder / "s")
    specs = {spec_id(s): s for s in json.loads((folder / "s" / "plan.json").read_text())}
    for run in plan:
        row = row_of(run)
        assert specs[run.run_id] == json.loads(json.dumps(run.spec))
        for blob, table in (("epochs", corpus.epochs), ("layers", corpus.layers)):
            found = table[table["run_id"] == run.run_id].drop(columns="run_id")
            expected = from_bytes(getattr(row, blob)).to_pandas()
            pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)
    shutil.rmtree(folder)
    TRIED["round trips"] += 1


def test_r22_is_counted(count):
    if not TRIED:
        pytest.skip("counts the cases of the two properties above")
    count(
        "R22",
        "keys, specifications, round trip from journal to Parquet: random cases",
        faults=0,
        records=TRIED.total(),
        wrong=int(len(TRIED) < 2),
        measured=", ".join(f"{count} {what}" for what, count in TRIED.items()),
    )
