"""The command that measures the gap on a table of one's own, from file to report."""

import json
import subprocess
import sys

import pytest

from analysis_lib import ROOT
from analysis_lib.cli import main
from analysis_lib.harness import foreign_traces, gap_report

NAMES = ["--program", "dataset", "--label", "fault"]
REST = ["--configuration", "setting", "--seed", "seed", "--technique", "tree", "--permutations", 0]


@pytest.fixture(scope="module")
def table():
    return foreign_traces(programs=3, configurations=2, seeds=2, epochs=3)


@pytest.fixture
def call(capsys):
    def run(*arguments):
        status = main(["gap", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


def test_the_command_says_what_the_function_says(call, table, tmp_path):
    path = tmp_path / "runs.csv.gz"
    table.to_csv(path, index=False)
    json_file, html_file = tmp_path / "r.json", tmp_path / "r.html"
    status, out, err = call(path, *NAMES, *REST, "--json", json_file, "--html", html_file)
    assert status == 0 and not err
    again = gap_report(
        path,
        program="dataset",
        label="fault",
        configuration="setting",
        seed="seed",
        technique="tree",
        permutations=0,
    )
    assert out == f"{again}\nsaved to {json_file}\nsaved to {html_file}\n"
    assert json_file.read_text() == again.to_json() and html_file.read_text() == again.to_html()
    assert len(json.loads(json_file.read_text())["scores"]) == 3


def test_options_reach_the_report(call, table, tmp_path):
    table.to_parquet(tmp_path / "runs.parquet")
    status, out, _ = call(
        tmp_path / "runs.parquet", *NAMES, *REST,
        "--features", "loss_last, norm_last", "--groups", 3, "--ignore", "GAP010,GAP025",
        "--random-state", 5, "--json", tmp_path / "r.json",
    )  # fmt: skip
    content = json.loads((tmp_path / "r.json").read_text())
    assert status == 0 and "GAP010" not in out
    assert content["parameters"]["features"] == ["loss_last", "norm_last"]
    assert (content["parameters"]["groups"], content["parameters"]["random_state"]) == (3, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.csv", *NAMES], "table no.csv does not exist"),
        ([".", *NAMES], "table . is a folder"),
        (
            ["runs.csv", "--program", "data_set", "--label", "fault"],
            "the table has no column 'data_",
        ),
        (
            ["runs.csv", *NAMES, "--features", "lossfirst"],
            "the table has no column 'lossfirst', gi",
        ),
        (
            ["runs.csv", *NAMES, "--technique", "forrest"],
            "unknown technique 'forrest'; did you mea",
        ),
        (["runs.csv", *NAMES, "--ignore", "GAP1"], "unknown check 'GAP1'"),
        (["runs.csv", *NAMES, "--max-rows", "3"], "max_rows is 3; expected at least 100 rows"),
        (["runs.csv", *NAMES, "--json", "no/r.json"], "--json no/r.json: the folder no does not"),
        (["runs.csv", *NAMES, "--html", "."], "--html .: is a folder"),
    ],
)
def test_wrong_input_is_one_line_and_ends_with_2(
    call, table, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    table.to_csv("runs.csv", index=False)
    status, out, err = call(*arguments)
    assert status == 2 and not out
    assert err.startswith(f"error: {message}") and err.count("\n") == 1


def test_missing_options_and_help(call):
    status, _, err = call("runs.csv", "--program", "dataset")
    assert status == 2 and "--label" in err
    status, out, _ = call("--help")
    assert status == 0 and "--configuration" in out


def test_it_needs_no_torch(table, tmp_path):
    table.to_csv(tmp_path / "runs.csv", index=False)
    script = (
        "import sys; from analysis_lib.cli import main\n"
        "status = main(['gap', 'runs.csv', '--program', 'dataset', '--label', 'fault',"
        "'--technique', 'dummy', '--permutations', '0', '--html', 'r.html'])\n"
        "assert not {'torch', 'matplotlib', 'seaborn'} & set(sys.modules); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
