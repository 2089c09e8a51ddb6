"""Tables that are wrong, odd or large: what is said, what is kept."""

import gzip

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.harness.reading import read_table
from analysis_lib.harness.tables import draw_rows, make_table

KEYS = {"program": "net", "label": "bug"}


def table(rows=40):
    """Return two programs, two classes, one feature."""
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "net": np.where(number % 2, "p", "q"),
            "bug": np.where(number % 4 < 2, "x", "y"),
            "conf": [f"c{i // 4}" for i in number],
            "loss": number * 0.5,
        }
    )


def changed(**columns):
    return table().assign(**columns)


ROWS = np.arange(40)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ([1, 2], {}, "the table is a list; give a pandas DataFrame"),
        (table().iloc[:0], {}, "the table has 0 rows and 4 columns"),
        (pd.DataFrame(index=range(3)), {}, "the table has 3 rows and 0 columns"),
        (pd.concat({"a": table()}, axis=1), {}, "the table has several levels of column names"),
        (pd.concat([table(), table()[["loss"]]], axis=1), {}, "the table has several columns of"),
        (table(), {"program": "nett"}, "the table has no column 'nett', given as program; did y"),
        (table(), {"program": "Net"}, "the table has no column 'Net', given as program; did you"),
        (table(), {"label": "zzzz"}, "the table has no column 'zzzz', given as label; it has net"),
        (table(), {"program": "bug"}, "column 'bug' is given as program and as label"),
        (table(), {"seed": "net"}, "column 'net' is given as program and as seed"),
        (table(), {"features": ["los"]}, "the table has no column 'los', given as a feature; did"),
        (table(), {"features": []}, "no feature is named"),
        (table(), {"features": ["bug"]}, "'bug' is given as label, and as a feature"),
        (table(), {"features": ["conf"]}, r"features must be numbers, but 'conf' \(text, such as"),
        (table().drop(columns="loss"), {}, "the table has no column of numbers to use as a feat"),
        (changed(net="p"), {}, "column 'net' has one program, 'p'"),
        (changed(net=ROWS), {}, "column 'net' has 40 values in 40 rows; give the column that says"),
        (changed(bug="x"), {}, "column 'bug' has one class with 5 rows or more, 'x'"),
        (changed(bug=None), {}, "column 'bug', given as label, is empty"),
        (changed(bug=" "), {}, "column 'bug', given as label, is empty"),
        (changed(bug=ROWS * 0.3), {}, r"no value of 'bug' has 5 rows \(40 values in 40 rows"),
        (changed(net=[["p"]] * 40), {}, "column 'net', given as program, holds lists"),
        (changed(bug=[{"a": 1}] * 40), {}, "column 'bug', given as label, holds lists"),
        (
            changed(bug=np.where(ROWS % 2, "x", "y")),
            {},
            "without program 'p' only the class y is l",
        ),
        (
            changed(conf="one"),
            {"configuration": "conf"},
            "column 'conf', given as configuration, t",
        ),
        (
            changed(net=np.where(ROWS < 20, "p", None), bug=np.where(ROWS < 20, None, "x")),
            {},
            "no row has all of program, label",
        ),
    ],
)
def test_what_is_wrong_is_named(frame, options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        make_table(frame, **{**KEYS, **options})


def codes(found):
    return [finding.code for finding in found.findings]


def test_only_numbers_become_features_and_the_others_are_named():
    frame = changed(
        flag=ROWS % 3 == 0,
        quoted=[str(i) for i in ROWS],
        almost=["n/a", *map(str, ROWS[1:])],
        text="word",
        kind=pd.Categorical(["a"] * 40),
        coded=pd.Categorical(ROWS),
        day=pd.Timestamp("2020-01-01"),
        nested=[[1, 2]] * 40,
        wave=1j,
        whole=pd.array([1, None] * 20, dtype="Int64"),
        meta_time=1.0,
    )
    found = make_table(frame, **KEYS)
    assert list(found.features) == ["loss", "flag", "quoted", "whole"]
    assert found.features.dtypes.eq(float).all()
    assert found.features["whole"].isna().sum() == 20
    assert found.features["quoted"].tolist() == ROWS.tolist()
    numbers, meta = found.findings
    left = ["conf", "almost", "text", "kind", "coded", "day", "nested", "wave"]
    assert numbers.code == meta.code == "GAP014"
    assert numbers.columns == left and meta.columns == ["meta_time"]
    assert "'almost': 1 word, such as 'n/a'" in numbers.what


def test_a_named_meta_column_is_a_feature():
    found = make_table(changed(meta_lr=ROWS), **KEYS, features=["meta_lr"])
    assert list(found.features) == ["meta_lr"]


def test_named_text_is_kept_for_techniques_that_take_it():
    found = make_table(table(), **KEYS, features=["conf", "loss"], numeric=False)
    assert found.features["conf"].iloc[4] == "c1" and list(found.features) == ["conf", "loss"]


def test_rows_without_names_are_left_out_and_counted():
    frame = table(60)
    frame.loc[:2, "bug"] = None
    frame.loc[5:6, "net"] = ""
    frame.loc[10, "bug"] = "rare"
    found = make_table(frame, **KEYS)
    assert found.runs["run_id"].tolist() == [i for i in range(60) if i not in (0, 1, 2, 5, 6, 10)]
    assert found.features.loc[7, "loss"] == 3.5 and set(found.classes) == {"x", "y"}
    said = [finding.what for finding in found.findings if finding.code == "GAP015"]
    assert said == [
        "2 rows without program left out",
        "3 rows without label left out",
        "1 row left out, of classes with fewer than 5 rows (rare)",
    ]


def test_names_are_text_and_classes_keep_their_kind():
    frame = changed(net=ROWS % 2, bug=np.where(ROWS % 4 < 2, 1.0, 0.0))
    frame.loc[0, "bug"] = np.nan
    found = make_table(frame, **KEYS)
    assert set(found.runs["program"]) == {"0", "1"}
    assert found.classes == {"0": 0, "1": 1} and type(found.classes["1"]) is int
    frame["bug"] = frame["bug"] == 1
    assert make_table(frame, **KEYS).classes == {"False": False, "True": True}


def test_columns_may_be_numbers_and_names_of_the_command_line_find_them():
    found = make_table(table().set_axis(range(4), axis=1), program="0", label=1)
    assert list(found.features) == ["3"]


def test_configurations_belong_to_their_program():
    frame = changed(conf=[f"c{i // 8}" for i in ROWS])
    found = make_table(frame, **KEYS, configuration="conf")
    assert found.runs["configuration"].iloc[0] == "q / c0"
    across, mixed = (f for f in found.findings if f.code == "GAP012")
    assert "5 configuration ids in several programs" in across.what and across.severity == "note"
    assert "10 configurations with runs of several classes" in mixed.what
    assert mixed.severity == "problem"
    clean = changed(conf=[f"{i % 2}{i % 4 < 2}{i // 10}" for i in ROWS])
    assert "GAP012" not in codes(make_table(clean, **KEYS, configuration="conf"))


def test_drawing_keeps_shares_and_whole_configurations():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"program": rng.integers(0, 5, 2000).astype(str)})
    runs["label"] = np.where(rng.random(2000) < 0.9, "x", "y")
    runs["configuration"] = runs["program"] + runs["label"] + (runs.index // 40).astype(str)
    kept = draw_rows(runs, 500)
    assert draw_rows(runs, 2000).all() and 400 < kept.sum() < 700
    by_unit = pd.Series(kept).groupby(runs["configuration"])
    assert (by_unit.nunique() == 1).all()
    share = kept.sum() / 2000
    cells = pd.Series(kept).groupby([runs["program"], runs["label"]]).mean()
    assert (abs(cells - share) < 0.15).all()
    assert (kept == draw_rows(runs, 500)).all() and (
        kept != draw_rows(runs, 500, random_state=1)
    ).any()
    many = runs.assign(program=(np.arange(2000) // 10).astype(str)).drop(columns="configuration")
    assert many["program"][draw_rows(many, 100)].nunique() == 10


def test_a_million_rows_are_checked_quickly():
    rng = np.random.default_rng(0)
    number = np.arange(1_000_000)
    frame = pd.DataFrame({"net": number % 50, "bug": rng.integers(0, 4, number.size), "x": number})
    found = make_table(frame, **KEYS)
    assert 10_000 <= draw_rows(found.runs, 10_000).sum() <= 10_200


# files


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv", lambda t, p: t.to_csv(p, index=False)),
        ("t.csv.gz", lambda t, p: t.to_csv(p, index=False)),
        ("t.tsv", lambda t, p: t.to_csv(p, index=False, sep="\t")),
        ("t.csv", lambda t, p: t.to_csv(p, index=False, sep=";")),
        ("t.csv", lambda t, p: t.to_csv(p, index=False, encoding="utf-8-sig")),
        ("t.csv", lambda t, p: t.to_csv(p, index=False, encoding="utf-16")),
        ("T.CSV", lambda t, p: t.to_csv(p, index=False)),
        ("t.parquet", lambda t, p: t.to_parquet(p)),
    ],
)
def test_every_format_gives_the_same_table(tmp_path, name, write):
    frame = changed(net=np.where(ROWS % 2, "pé", "q"))
    write(frame, tmp_path / name)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), frame)


def test_a_class_may_be_called_none_and_a_number_may_be_missing(tmp_path):
    frame = changed(bug=np.where(ROWS % 4 < 2, "None", "NA"))
    frame.loc[3, ["loss", "bug"]] = [np.nan, ""]
    frame.to_csv(tmp_path / "t.csv", index=False)
    read = read_table(tmp_path / "t.csv", keys=["bug"])
    assert read["bug"].value_counts().to_dict() == {"None": 20, "NA": 19}
    assert read["bug"].isna().sum() == 1 and read["loss"].dtype == float


def test_nested_parquet_columns_are_left_out(tmp_path):
    changed(curve=[[0.1, 0.2]] * 40, about=[{"a": 1}] * 40).to_parquet(tmp_path / "t.parquet")
    found = make_table(read_table(tmp_path / "t.parquet"), **KEYS)
    assert list(found.features) == ["loss"]
    assert set(found.findings[0].columns) == {"conf", "curve", "about"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.csv", None, "table .*no.csv does not exist"),
        ("t.xlsx", b"x", "table .*t.xlsx: expected a name that ends in .csv"),
        ("t", b"x", "table .*: expected a name"),
        ("empty.csv", b"", r"table .*empty.csv is empty"),
        ("bad.parquet", b"PAR1 no", "table .*bad.parquet cannot be read"),
        ("bad.csv.gz", b"no gzip", "table .*bad.csv.gz cannot be read"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" * 99)[:20], "table .*cut.csv.gz cannot be read"),
        ("latin.csv", "net,bug\nè,x\n".encode("latin-1"), "table .*latin.csv is not utf-8 text"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", "table .*ragged.csv cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^{message}"):
        read_table(tmp_path / name)


def test_a_folder_and_an_encoding(tmp_path):
    with pytest.raises(InputError, match="is a folder; give a CSV"):
        read_table(tmp_path)
    (tmp_path / "t.csv").write_bytes("net,bug\nè,x\n".encode("latin-1"))
    assert read_table(tmp_path / "t.csv", encoding="latin-1")["net"].tolist() == ["è"]
    with pytest.raises(InputError, match="is not klingon text"):
        read_table(tmp_path / "t.csv", encoding="klingon")


def test_a_column_of_numbers_but_for_a_word_is_a_warning():
    frame = pd.DataFrame({"a": ["1", "2", "err", *map(str, range(57))], "b": range(60)})
    frame["program"], frame["label"] = list("pq") * 30, ["x"] * 30 + ["y"] * 30
    found = make_table(frame, program="program", label="label").findings
    assert [f.severity for f in found if f.code == "GAP014"] == ["warning"]
    named = frame.assign(a=["net"] * 60)
    found = make_table(named, program="program", label="label").findings
    assert [f.severity for f in found if f.code == "GAP014"] == ["note"]


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "runs.csv").write_text("")
    with pytest.raises(InputError, match="is empty"):
        read_table(tmp_path / "runs.csv")
