"""The command line: what it prints, what it refuses, and with which exit status."""

import ast
import runpy
import subprocess
import sys

import pandas as pd
import pytest

import analysis_lib
import analysis_lib.book
import analysis_lib.notebooks
from analysis_lib.cli import main
from analysis_lib.errors import InputError
from analysis_lib.notebooks import NotebookFailed

PACKAGE = analysis_lib.ROOT / "analysis_lib"


@pytest.fixture
def call(capsys):
    """Run a command; return its status, what it printed, and its complaint."""

    def run(*arguments):
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


def test_help_imports_nothing_heavy():
    heavy = {"torch", "numpy", "pandas", "sklearn", "matplotlib", "papermill", "yaml"}
    script = (
        "import sys; from analysis_lib.cli import main; status = main(['--help']);"
        f"print('heavy', sorted({heavy!r} & set(sys.modules))); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("heavy []")
    for name in ("programs", "faults", "run", "corpus", "notebooks", "book"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["program"], "Did you mean 'programs'?"),
        (["corpus", "publsh"], "Did you mean 'publish'?"),
        (["programs", "--modalty", "image"], "--modality"),
        (["run"], "Missing argument"),
        (["run", "snn_wine", "--epochs", "0"], "--epochs"),
        (["run", "snn_wine", "--epochs", "ten"], "--epochs"),
        (["run", "snn_wine", "--seed", "-1"], "--seed"),
    ],
)
def test_usage_errors_end_with_2_and_a_hint(call, arguments, part):
    status, out, err = call(*arguments)
    assert status == 2 and part in err and not out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["programs", "--modality", "tabluar"], "unknown modality 'tabluar'; did you mean 'tabul"),
        (["faults", "--category", "Los"], "unknown category 'Los'; did you mean 'Loss'"),
        (["faults", "--program", "snn_wein"], "unknown program 'snn_wein'; did you mean 'snn_wi"),
        (["run", "snn_wein"], "unknown program 'snn_wein'; did you mean 'snn_wine'"),
        (["run", "snn_wine", "HRL"], "unknown operator 'HRL'; did you mean 'HLR'"),
        (["run", "snn_wine", "LCF"], "operator 'LCF' does not apply to 'snn_wine': "),
        (["run", "snn_wine", "HLR", "-p", "factr=2"], "unknown parameter of operator 'HLR' 'fa"),
        (["run", "snn_wine", "HLR", "-p", "factor=x"], "parameter 'factor' is 'x'; expected float"),
        (["run", "snn_wine", "HLR", "-p", "factor"], "parameter 'factor' is not of the form"),
        (["run", "snn_wine", "--channels", "gradnorm"], "unknown channel 'gradnorm'; did you me"),
        (["run", "snn_wine", "--save", "trace.txt"], "--save trace.txt: expected a name that ends"),
        (
            ["run", "snn_wine", "--save", "no/such/x.csv"],
            "--save no/such/x.csv: the folder no/such",
        ),
        (["corpus", "plan", "--seeds", "0"], "seeds is 0; expected"),
        (["corpus", "generate", "--device", "cudda"], "unknown device 'cudda'; did you mean 'cud"),
        (["corpus", "verify", "no/such"], "no corpus at no/such"),
        (["corpus", "status", "--program", "snn_wine", "--journal", "no.sqlite"], "no journal at"),
        (["notebooks", "--profile", "quik"], "unknown profile 'quik'; did you mean 'quick'"),
        (["book", "--profile", "quik", "--no-run"], "unknown profile 'quik'"),
    ],
)
def test_wrong_input_is_one_line_and_ends_with_2(call, arguments, message):
    status, out, err = call(*arguments)
    assert status == 2 and not out
    assert err.startswith(f"error: {message}") and err.count("\n") == 1


def test_a_device_that_is_not_there_ends_before_training(call):
    status, out, err = call("run", "snn_wine", "--device", "cuda:99")
    assert status == 2 and out == "snn_wine/healthy/seed=0\n"
    assert err.startswith("error: device 'cuda:99' is not there") and err.count("\n") == 1


def test_programs_are_listed_by_modality(call):
    every, graphs = call("programs")[1], call("programs", "--modality", "graph")[1]
    names = [p.name for p in analysis_lib.list_programs()]
    assert [line.split()[0] for line in every.splitlines()[1:]] == names
    chosen = [p.name for p in analysis_lib.list_programs("graph")]
    assert [line.split()[0] for line in graphs.splitlines()[1:]] == chosen


def test_faults_say_which_apply_and_why_not(call):
    lines = call("faults", "--program", "snn_wine")[1].splitlines()[1:]
    target = analysis_lib.get_program("snn_wine")
    for line, operator in zip(lines, analysis_lib.list_operators(), strict=True):
        reason = operator.applies(target)
        assert line.startswith(operator.id)
        assert line.endswith("yes" if reason is None else f"no: {reason}")
    assert call("faults", "--category", "Loss")[1].count("Loss") == len(
        analysis_lib.list_operators("Loss")
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_run_is_printed_and_saved(call, tmp_path, suffix):
    file = tmp_path / f"trace{suffix}"
    status, out, err = call(
        *("run", "snn_wine", "HLR", "-p", "factor=100", "--epochs", 2, "--seed", 3),
        *("--channels", "train_loss,grad_norm", "--save", file),
    )
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "snn_wine/HLR(factor=100.0)/seed=3"
    assert lines[1].split() == ["epoch", "train_loss", "grad_norm"]
    saved = pd.read_csv(file) if suffix == ".csv" else pd.read_parquet(file)
    assert list(saved["epoch"]) == [-1, 0, 1]
    printed = [float(line.split()[1]) for line in lines[2:5]]
    assert printed == [float(f"{loss:.4g}") for loss in saved["train_loss"]]
    assert lines[5].startswith("status: ") and lines[-1] == f"saved to {file}"


def test_the_plan_is_counted_and_saved(call, tmp_path):
    file = tmp_path / "plan.csv"
    options = ("--program", "snn_wine", "--seeds", 2, "--configurations", 1, "--healthy", 1)
    status, out, _ = call("corpus", "plan", *options, "--save", file)
    table = pd.read_csv(file)
    assert status == 0 and out.splitlines()[-2].split()[-1] == str(len(table))
    assert (table["program"] == "snn_wine").all() and table["run_id"].is_unique
    assert set(table.loc[table["operator"] == "healthy", "category"]) == {"Healthy"}


def test_a_corpus_is_generated_published_and_verified(call, tmp_path):
    plan = ("--program", "snn_wine", "--seeds", 1, "--configurations", 1, "--healthy", 1)
    journal, store = tmp_path / "journal.sqlite", tmp_path / "store"
    assert call("corpus", "generate", *plan, "--journal", journal)[0] == 0
    status, out, _ = call("corpus", "status", *plan, "--journal", journal)
    counts = out.splitlines()[-1].split()
    assert status == 0 and counts[0] == "all" and counts[5] == "0"
    assert call("corpus", "publish", *plan, "--journal", journal, "--to", store)[0] == 0
    status, out, _ = call("corpus", "verify", store)
    assert status == 0 and "failed" not in out
    (store / "README.md").write_text("altered")
    status, out, err = call("corpus", "verify", store)
    assert status == 2 and "README.md is damaged or altered" in out
    assert err.startswith(f"error: {store} does not hold what it promises: 1 of ")
    assert call("corpus", "repair", "--journal", journal)[1] == "nothing is damaged\n"


@pytest.mark.parametrize(
    ("error", "status", "complaint"),
    [
        (
            NotebookFailed("01_x failed\nleft in y"),
            1,
            "error: 01_x failed\n",
        ),
        (KeyboardInterrupt(), 130, "\ninterrupted; the same command goes on"),
        (InputError("bad value"), 2, "error: bad value\n"),
    ],
)
@pytest.mark.parametrize("command", ["notebooks", "book"])
def test_how_running_notebooks_may_end(call, monkeypatch, command, error, status, complaint):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(analysis_lib.notebooks, "run", fail)
    ended, _, err = call(command)
    assert ended == status and err.startswith(complaint)


def test_options_reach_the_runner_and_the_builder(call, monkeypatch):
    seen = {}
    index = analysis_lib.ROOT / "_build" / "book" / "full" / "index.html"
    monkeypatch.setattr(analysis_lib.notebooks, "run", lambda p, **o: seen.update(run=(p, o)))
    monkeypatch.setattr(analysis_lib.book, "build", lambda p, **o: seen.update(build=o) or index)
    assert call("notebooks", "--profile", "full", "-p", "a=1", "-p", "b=2", "--only", "03")[0] == 0
    project, options = seen.pop("run")
    assert project.profile == "full"
    assert (options["overrides"], options["only"]) == (["a=1", "b=2"], "03")
    status, out, _ = call("book", "--profile", "full", "--no-run")
    assert (status, out) == (0, "_build/book/full/index.html\n") and "run" not in seen


def test_a_failed_build_ends_with_1(call, monkeypatch):
    def fail(*_, **__):
        raise analysis_lib.book.BuildFailed("the book could not be built:\nx.md: WARNING: y")

    monkeypatch.setattr(analysis_lib.book, "build", fail)
    status, _, err = call("book", "--no-run")
    assert status == 1 and err.startswith("error: the book could not be built:")


def test_an_old_python_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(PACKAGE / "__main__.py"))
    assert caught.value.code == "analysis_lib needs Python 3.11 or newer; this is 3.10"
    for name in ("__init__.py", "__main__.py"):  # what that Python reads before it is refused
        ast.parse((PACKAGE / name).read_text(), feature_version=(3, 7))
