"""``python -m analysis_lib leaderboard``: files are checked, techniques fitted, all ranked."""

import pandas as pd
import pytest
from board_kit import corpus

import analysis_lib
from analysis_lib.cli import main

OWN = """
from sklearn.tree import DecisionTreeClassifier
from analysis_lib.features import FeatureSet
from analysis_lib.techniques import Technique

def last(cube):
    return {c: cube.values[:, -1, j] for j, c in enumerate(cube.channels)}

SET = FeatureSet("mine", tuple(f"x{k}" for k in range(12)), last, "as they are")
TECHNIQUES = [
    Technique(f"depth {d}", SET, lambda seed, d=d: DecisionTreeClassifier(max_depth=d), "a tree")
    for d in (1, 4)
]
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    data = corpus()
    monkeypatch.setattr(analysis_lib, "load_corpus", lambda path: data, raising=False)
    monkeypatch.setattr(analysis_lib, "ROOT", tmp_path)

    def run(*arguments):
        status = main(["leaderboard", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


def test_a_technique_file_is_ranked_saved_and_read_again(call, tmp_path):
    own, saved = tmp_path / "own.py", tmp_path / "saved"
    own.write_text(OWN)
    options = ["--groups", 2, "--window", 1]
    status, out, _ = call("--technique", own, *options, "--save", saved)
    assert status == 0 and "typing-4, E4, 2 groups, 1 epochs, track Z" in out
    assert len(list(saved.iterdir())) == 4 and out.index("depth 4") < out.rindex("depth 1")
    page, sheet = tmp_path / "board.html", tmp_path / "board.csv"
    status, out, _ = call(saved, "--html", page, "--csv", sheet)
    assert status == 0 and out.count(" fits") == 4
    board = pd.read_csv(sheet)
    assert board["technique"].tolist() == ["depth 4", "depth 1"] * 2
    assert board["seconds"].notna().all() and "<table" in page.read_text()


def test_what_does_not_fit_ends_with_2_and_a_reason(call, tmp_path):
    path = tmp_path / "mine.csv"
    pd.DataFrame({"run_id": ["r00000"], "predicted": "Loss"}).to_csv(path, index=False)
    for arguments, message in (
        ([], "nothing to rank"),
        ([path], "lack the columns technique"),
        (["--technique", "DEFalt"], "did you mean 'DEFault'"),
        (["--technique", tmp_path / "no.py"], "there is no Python file"),
        ([path, "--html", tmp_path / "no" / "b.html"], "does not exist"),
        ([tmp_path], "lack the columns"),
        ([path, "--task", "typing"], "mine.csv"),
    ):
        status, _, err = call(*arguments)
        assert status == 2 and message in err, arguments
