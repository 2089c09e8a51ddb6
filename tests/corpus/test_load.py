"""Loading: what was published comes back, and nothing damaged comes through."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from corpus_kit import NAMES, plan_of, relist, rewrite, store_of

import analysis_lib.corpus.load as module
from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.corpus.load import Corpus, load_corpus
from analysis_lib.errors import InputError

PLAN = plan_of()
PART = "epochs/program=alpha/part-0.parquet"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store"), PLAN)


@pytest.fixture
def store(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "store")


def test_tables_have_the_promised_columns(shared):
    corpus = load_corpus(shared)
    assert list(corpus.epochs) == ["run_id", "epoch", *CHANNELS]
    assert list(corpus.layers) == ["run_id", "epoch", "layer", "depth", *LAYER_CHANNELS]
    assert (corpus.epochs.dtypes[list(CHANNELS)] == "float32").all()
    assert (corpus.layers.dtypes[list(LAYER_CHANNELS)] == "float32").all()
    runs = corpus.runs
    assert set(runs["run_id"]) == {run.run_id for run in PLAN}
    assert set(runs["program"]) == set(NAMES)  # "007" did not become a number
    texts = ["run_id", "program", "operator", "parameters", "configuration", "status", "label"]
    assert all(runs.dtypes[name] == "str" for name in texts)
    assert all(runs.dtypes[name] == "bool" for name in ("killed", "unstable", "higher_is_better"))
    assert runs.dtypes["first_bad_epoch"] == "Int16"
    assert runs.dtypes["mismatch"] == "boolean"
    assert runs.dtypes["meta_steps"] == "Int64"


def test_labels_and_missing_values(shared):
    runs = load_corpus(shared).runs.set_index("operator")
    assert (runs.loc["healthy", ["category", "label"]] == "Healthy").all(axis=None)
    assert (runs.loc["HLR", "label"] == "Hyperparameter").all() and runs.loc["HLR", "killed"].all()
    assert runs.loc["HBS", "label"].isna().all()
    assert (runs.loc["NONFINITE", "first_bad_epoch"] == 1).all()
    assert runs.loc["NONFINITE", "mismatch"].isna().all()
    assert runs.loc["healthy", "first_bad_epoch"].isna().all()
    assert runs.loc["RAISE", ["meta_steps", "weights_digest", "final_metric"]].isna().all(axis=None)
    assert (runs.loc["RAISE", "reason"] == "ValueError: no").all()


@pytest.mark.parametrize("window", [0, 1, 2, 99])
def test_window_is_what_is_visible_after_k_epochs(shared, window):
    whole, part = load_corpus(shared), load_corpus(shared, window=window)
    for name in ("epochs", "layers"):
        table = getattr(whole, name)
        expected = table[table["epoch"] < window].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(part, name), expected)
    pd.testing.assert_frame_equal(part.runs, whole.runs)


def test_channels_and_programs_select(shared):
    whole = load_corpus(shared)
    part = load_corpus(shared, channels=["hvp_norm", "train_loss"], programs=["007"])
    assert part.channels == ["train_loss", "hvp_norm"]
    assert set(part.runs["program"]) == {"007"}
    ids = part.runs["run_id"]
    for name in ("epochs", "layers"):
        have = getattr(part, name)
        full = getattr(whole, name)
        expected = full[full["run_id"].isin(ids)].reset_index(drop=True)
        pd.testing.assert_frame_equal(have, expected[list(have)])
    pd.testing.assert_frame_equal(load_corpus(shared, programs="007").runs, part.runs)
    assert load_corpus(shared, channels=[]).channels == []


def test_layers_are_read_when_asked_for(store):
    corpus = load_corpus(store)
    shutil.rmtree(store / "layers")
    with pytest.raises(InputError, match=r"layers/program=007/part-0.parquet is missing"):
        corpus.layers  # noqa: B018
    other = load_corpus(store.parent / "store", programs=[])
    assert len(other.layers) == 0 and list(other.layers)[0] == "run_id"


def test_repr_and_describe(shared):
    corpus = load_corpus(shared)
    assert repr(corpus) == (
        f"<Corpus: 30 runs of 3 programs, epochs -1 to 2, {len(CHANNELS)} channels from {shared}>"
    )
    table = corpus.describe()
    assert list(table.index) == sorted(NAMES)
    row = table.loc["beta"]
    assert row[["runs", "operators", "seeds", "killed", "unstable"]].tolist() == [10, 5, 2, 2, 2]
    assert row[["ok", "nonfinite", "raised"]].tolist() == [6, 2, 2]


def test_corpus_of_your_own_tables():
    runs = pd.DataFrame({"run_id": ["a"], "program": ["p"]})
    layers = pd.DataFrame({"run_id": ["a"]})
    corpus = Corpus(runs, pd.DataFrame({"run_id": ["a"], "epoch": [0], "x": [1.0]}), layers)
    assert corpus.channels == ["x"] and corpus.layers is layers
    assert corpus.describe()["runs"].tolist() == [1]


def damage(store, how):
    part, manifest = store / PART, store / "manifest.json"
    match how:
        case "no manifest":
            manifest.unlink()
        case "torn manifest":
            manifest.write_text(manifest.read_text()[:100])
        case "manifest of a list":
            manifest.write_text("[]")
        case "newer schema":
            relist(store, schema_version=2)
        case "path outside":
            text = manifest.read_text().replace(PART, "../../etc/passwd")
            manifest.write_text(text)
        case "link outside":
            content = part.read_bytes()
            part.unlink()
            (store.parent / "outside").write_bytes(content)
            part.symlink_to(store.parent / "outside")
        case "missing part":
            part.unlink()
        case "missing runs":
            (store / "runs.parquet").unlink()
        case "cut":
            part.write_bytes(part.read_bytes()[:-100])
        case "empty":
            part.write_bytes(b"")
        case "text":
            part.write_bytes(b"run_id,epoch\n".ljust(part.stat().st_size, b"x"))
        case "fewer rows":
            content = json.loads(manifest.read_text())
            content["files"][PART]["rows"] -= 1
            content["seal"] = module.seal(content)
            manifest.write_text(json.dumps(content))
        case "altered manifest":
            content = json.loads(manifest.read_text())
            content["runs"] += 1
            manifest.write_text(json.dumps(content))
        case "missing column":
            rewrite(store, PART, lambda frame: frame.drop(columns="hvp_norm"))
        case "other types":
            rewrite(store, PART, lambda f: f.astype({"hvp_norm": "float64", "epoch": "str"}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no manifest", "holds no manifest.json"),
        ("torn manifest", "manifest.json is damaged"),
        ("manifest of a list", "manifest.json is damaged"),
        ("newer schema", "schema version 2, this version reads 1"),
        ("path outside", "outside the corpus"),
        ("link outside", "outside the corpus"),
        ("missing part", f"{PART} is missing"),
        ("missing runs", "runs.parquet is missing"),
        ("cut", f"{PART} has .* bytes, the manifest says"),
        ("empty", f"{PART} has 0 bytes, the manifest says"),
        ("text", f"{PART} is damaged"),
        ("fewer rows", f"{PART} has 32 rows, the manifest says 31"),
        ("altered manifest", "manifest.json is damaged or altered"),
        ("missing column", "missing column 'hvp_norm'"),
        ("other types", "(?s)column 'epoch' is .*string.*column 'hvp_norm' is double"),
    ],
)
def test_damage_is_named(store, how, message):
    damage(store, how)
    with pytest.raises(InputError, match=message) as caught:
        load_corpus(store)
    assert "\n" not in str(caught.value)
    if how not in ("newer schema", "path outside", "link outside"):
        assert "`python -m analysis_lib corpus publish`" in str(caught.value)


def test_shipped_corpus_is_restored_by_git(store, monkeypatch):
    monkeypatch.setattr(module, "DEFAULT", store)
    damage(store, "missing part")
    with pytest.raises(InputError, match="restore it with `git checkout -- data`"):
        load_corpus()
    monkeypatch.setattr(module, "DEFAULT", store / "nowhere")
    with pytest.raises(InputError, match="no corpus at .*nowhere; .*git checkout"):
        load_corpus()


@pytest.mark.parametrize("verify", [True, False])
def test_flipped_bits_never_give_other_numbers(store, verify):
    """The digest of the file finds them all; without it, the checksums of pages do."""
    path = store / PART
    whole, expected = path.read_bytes(), load_corpus(store).epochs
    rng, refused = np.random.default_rng(0), 0
    for at in rng.integers(0, 8 * len(whole), 60):
        content = bytearray(whole)
        content[at // 8] ^= 1 << (at % 8)
        path.write_bytes(content)
        try:
            found = load_corpus(store, verify=verify).epochs
        except InputError as error:
            assert "part-0.parquet" in str(error)
            refused += 1
        else:
            pd.testing.assert_frame_equal(found, expected)
    assert refused == 60 if verify else refused > 20


def test_bit_in_a_data_page_is_caught_by_its_checksum(store):
    path = store / PART
    column = pq.ParquetFile(path).metadata.row_group(0).column(5)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{PART} is damaged or altered: its sha256"):
        load_corpus(store)
    with pytest.raises(InputError, match=f"{PART} is damaged .*"):
        load_corpus(store, verify=False)
    others = [name for name in CHANNELS if name != column.path_in_schema]
    assert len(load_corpus(store, channels=others, verify=False).epochs)  # not read


@pytest.mark.parametrize(
    ("limit", "what"),
    [("_MOST_ROWS", "30 rows"), ("_MOST_COLUMNS", "columns"), ("_MOST_BYTES", "bytes")],
)
def test_what_would_fill_the_memory_is_refused_unread(store, monkeypatch, limit, what):
    monkeypatch.setattr(module, limit, 8)
    with pytest.raises(InputError, match=f"claims .*{what}, over 8"):
        load_corpus(store)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ["hvp_nrom"]}, "unknown channel 'hvp_nrom'; did you mean 'hvp_norm'"),
        ({"programs": ["alpa"]}, "unknown program 'alpa'; did you mean 'alpha'"),
        ({"window": -1}, "window is -1"),
        ({"window": 1.5}, "window is 1.5"),
        ({"window": True}, "window is True"),
    ],
)
def test_wrong_selection(shared, options, message):
    with pytest.raises(InputError, match=message):
        load_corpus(shared, **options)
