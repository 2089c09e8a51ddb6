"""What comes with the tables of a published corpus: for machines, for lawyers, for readers."""

import csv
import json

import mlcroissant
import pytest
import yaml
from corpus_kit import CATEGORIES, PROGRAMS, journal_of, plan_of, store_of

from analysis_lib import ROOT, list_programs
from analysis_lib.corpus.card import Card, columns_table, render
from analysis_lib.corpus.licences import SOURCES
from analysis_lib.corpus.load import DEFAULT, load_corpus, read_manifest
from analysis_lib.corpus.publish import TEXTS, describe_store, publish
from analysis_lib.corpus.schema import epochs_schema, layers_schema, runs_schema
from analysis_lib.corpus.verify import verify_store
from analysis_lib.errors import InputError
from analysis_lib.labels import label_runs

SCHEMAS = {"runs": runs_schema(), "epochs": epochs_schema(), "layers": layers_schema()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("card"), plan_of())


@pytest.fixture(scope="module")
def croissant(store):
    return json.loads((store / "croissant.json").read_text())


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_croissant_is_valid_and_reads_the_tables(store):
    dataset = mlcroissant.Dataset(str(store / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert (list(issues.errors), list(issues.warnings)) == ([], [])
    corpus = load_corpus(store)
    runs = list(dataset.records("runs"))
    assert {r["runs/run_id"].decode() for r in runs} == set(corpus.runs["run_id"])
    for table in ("epochs", "layers"):
        found = list(dataset.records(table))
        assert len(found) == len(getattr(corpus, table))
        assert set(found[0]) == {f"{table}/{name}" for name in SCHEMAS[table].names}


def test_croissant_knows_every_file_and_column(store, croissant):
    manifest = json.loads((store / "manifest.json").read_text())
    listed = {
        f["@id"]: f["sha256"] for f in croissant["distribution"] if f["@type"] == "cr:FileObject"
    }
    assert listed == {
        name: about["sha256"]
        for name, about in manifest["files"].items()
        if name.endswith(".parquet")
    }
    for records in croissant["recordSet"]:
        names = [field["name"] for field in records["field"]]
        assert names == SCHEMAS[records["name"]].names
        assert all(field["description"] for field in records["field"])
    assert croissant["license"].endswith("CC-BY-4.0.html")
    assert all(croissant[f"rai:{name}"] for name in ("dataCollection", "dataLimitations"))


def test_croissant_of_a_store_without_traces(tmp_path):
    plan = plan_of(["alpha"], ["RAISE"], seeds=3)
    store = store_of(tmp_path, plan)
    croissant = json.loads((store / "croissant.json").read_text())
    assert [records["name"] for records in croissant["recordSet"]] == ["runs"]


def test_program_whose_runs_all_fail_is_labelled_by_the_real_rules(tmp_path):
    plan = plan_of(["alpha"], ["RAISE"], seeds=3) + plan_of(["beta"], ["healthy"], seeds=3)
    journal = journal_of(tmp_path / "j.db", plan)
    options = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label_runs}
    publish(journal, tmp_path / "s", plan=plan, **options)
    runs = load_corpus(tmp_path / "s").runs
    assert runs.groupby("program")["unstable"].any().to_dict() == {"alpha": False, "beta": False}


def test_column_dictionary_holds_every_column(store):
    with (store / "columns.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(t, f.name, str(f.type)) for t, schema in SCHEMAS.items() for f in schema]
    assert [(row["table"], row["column"], row["type"]) for row in rows] == expected
    assert all(row["meaning"] for row in rows)


def test_every_program_has_a_source_with_terms():
    for program in list_programs():
        assert program.source in SOURCES, f"{program.name}: add its source to corpus/licences.py"
    assert all(s.package and s.terms and s.origin for s in SOURCES.values())


def test_card_names_licences_and_citation(store):
    card = (store / "README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert "| made up | not recorded: ask whoever made it | – |" in card
    assert "arXiv:2606.26492" in card
    assert "Attribution 4.0 International" in (store / "LICENSE").read_text()


def test_citation_agrees_with_that_of_the_project(store):
    ours = yaml.safe_load((store / "CITATION.cff").read_text())
    project = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (ours["type"], ours["license"]) == ("dataset", "CC-BY-4.0")
    for name in ("version", "date-released", "authors", "references"):
        assert ours[name] == project[name], name
    assert Card().version in Card().citation


def contents(store):
    return {p.relative_to(store).as_posix(): p.read_bytes() for p in store.rglob("*.*")}


def test_a_store_is_described_anew_without_its_tables(tmp_path):
    store = store_of(tmp_path, plan_of(["alpha"], ["healthy"], seeds=3))
    before, manifest = contents(store), read_manifest(store)
    assert describe_store(store) == manifest and contents(store) == before

    described = describe_store(store, card=Card(limits="Only one program."))
    assert described == read_manifest(store) and described["seal"] != manifest["seal"]
    assert {n for n, b in contents(store).items() if b != before[n]} == {
        "README.md",
        "croissant.json",
        "manifest.json",
    }
    assert "Only one program." in (store / "README.md").read_text()
    assert all(described[name] == manifest[name] for name in ("digest", "versions", "runs"))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_shipped_corpus_is_described_as_the_library_would():
    """Otherwise write its texts anew: python -m analysis_lib corpus describe."""
    manifest = read_manifest(DEFAULT)
    tables = {name: about for name, about in manifest["files"].items() if name not in TEXTS}
    assert (DEFAULT / "columns.csv").read_text() == columns_table()
    assert (DEFAULT / "README.md").read_text() == render(Card(), manifest | {"files": tables})


def test_describing_hides_no_damage(tmp_path):
    store = store_of(tmp_path, plan_of(["alpha"], ["healthy"], seeds=3))
    (store / "plan.json").write_text("[]")
    describe_store(store)
    checks = verify_store(store).set_index("code")
    assert "plan.json is damaged or altered" in checks.loc["C01", "detail"]
    with pytest.raises(InputError, match="no corpus at"):
        describe_store(tmp_path / "none")
