"""One file is enough to add a technique, in the package or outside."""

import subprocess
import sys

import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation.study import run_study
from analysis_lib.evaluation.worlds import simulate_world
from analysis_lib.techniques import SLOW_TECHNIQUES, TECHNIQUES, Technique, load_techniques
from analysis_lib.techniques import registry as registry_module

ORDER = [
    "DEFault", "DEFault-hierarchy", "DeepFD", "AutoTrainer", "DeepLocalize", "UMLAUT",
    "DeepDiagnosis", "default-logistic", "curvature-forest", "curvature-logistic",
    "optimizer-forest", "optimizer-logistic", "scalefree-forest", "dummy",
]  # fmt: skip
OWN = """
from sklearn.tree import DecisionTreeClassifier
from analysis_lib.features import FeatureSet
from analysis_lib.techniques import Technique

class Mine(DecisionTreeClassifier):
    def predict(self, X):
        return {predict}

def last(cube):
    return {{c: cube.values[:, -1, j] for j, c in enumerate(cube.channels)}}

SET = FeatureSet("mine", tuple(f"x{{k}}" for k in range(12)), last, "as they are")

def make(seed):
    return Mine(max_depth=3, random_state=seed)

TECHNIQUES = [Technique("mine", SET, make, "a tree of my own")]
"""


def write(folder, name="mine.py", text=OWN, predict="super().predict(X)"):
    path = folder / name
    path.write_text(text.format(predict=predict) if text is OWN else text)
    return path


def test_the_shipped_techniques_come_first_and_in_order():
    assert list(TECHNIQUES)[: len(ORDER)] == ORDER
    assert list(SLOW_TECHNIQUES) == ["DEFault-faithful"]
    assert not any(t.slow for t in TECHNIQUES.values())
    assert all(t.name == name for name, t in TECHNIQUES.items())


def test_importing_the_registry_needs_no_torch():
    code = "import sys, analysis_lib.techniques; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_file_in_the_package_is_found(tmp_path, monkeypatch):
    extra = type(sys)("analysis_lib.techniques.zebra")
    extra.__file__ = str(tmp_path / "zebra.py")
    extra.TECHNIQUES = (Technique("zebra", "default", lambda seed: None, "z", slow=True),)
    monkeypatch.setitem(sys.modules, extra.__name__, extra)
    for path in registry_module.FOLDER.glob("*.py"):
        (tmp_path / path.name).touch()
    (tmp_path / "zebra.py").touch()
    monkeypatch.setattr(registry_module, "FOLDER", tmp_path)
    found = registry_module._collect(registry_module._own())
    assert list(found) == [
        *list(TECHNIQUES)[:2],
        "DEFault-faithful",
        *list(TECHNIQUES)[2:],
        "zebra",
    ]


def test_a_file_of_ones_own_runs_in_worker_processes_and_its_code_is_in_the_key(tmp_path):
    features, runs = simulate_world("transferable", programs=3, classes=2)
    epochs = features.reset_index().assign(epoch=-1)
    cache, options = tmp_path / "cache", {"label": "label", "windows": [0], "strategies": ["E4"]}

    def predicted(how, n_jobs):
        path = write(tmp_path, predict=how)
        mine = load_techniques(path)["mine"]
        return run_study(
            epochs, runs, techniques=[mine], cache=cache, n_jobs=n_jobs, **options
        )["predicted"].tolist()  # fmt: skip

    first = predicted("super().predict(X)", 2)
    assert first == predicted("super().predict(X)", 1) and len(list(cache.iterdir())) == 1
    other = predicted("super().predict(X)[::-1]", 1)
    assert len(list(cache.iterdir())) == 2 and other != first
    assert "mine" not in TECHNIQUES


def test_a_folder_gives_every_file_but_private_ones(tmp_path):
    write(tmp_path)
    write(tmp_path, "_draft.py", "1 / 0")
    write(tmp_path, "other.py", OWN.format(predict="0").replace('"mine", SET', '"other", SET'))
    assert list(load_techniques(tmp_path)) == ["mine", "other"]
    assert list(load_techniques([tmp_path / "other.py"])) == ["other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", "bad.py fails at line 2: ZeroDivisionError"),
        ("def f(:\n", "bad.py fails at line 1: SyntaxError"),
        ("import nonexistent_package\n", "bad.py fails at line 1: ModuleNotFoundError"),
        ("x = 1\n", "bad.py declares no techniques; expected TECHNIQUES = "),
        ("TECHNIQUES = []\n", "bad.py declares no techniques"),
        ("TECHNIQUES = ['DEFault']\n", "TECHNIQUES of bad.py holds a str; expected Technique"),
        (OWN.format(predict="0").replace('"mine", SET', '"DeepFD", SET'), "a technique 'DeepFD'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_techniques(write(tmp_path, "bad.py", text))


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no Python file"):
        load_techniques(tmp_path / "none.py")
    with pytest.raises(InputError, match="holds no .py file"):
        load_techniques(tmp_path)
    write(tmp_path, "a.py"), write(tmp_path, "b.py")
    with pytest.raises(InputError, match="b.py declares a technique 'mine', but there is one"):
        load_techniques(tmp_path)


def test_a_technique_that_is_added_changes_no_key_of_another(monkeypatch):
    from analysis_lib.dependencies import code_files
    from analysis_lib.evaluation import study

    seen = set()
    for technique in TECHNIQUES.values():
        for kind in study._kinds(technique.make_estimator(0)):
            seen |= {path.name for path in code_files(kind.__module__)}
    assert "registry.py" not in seen and "autotrainer.py" in seen
    whole = {path.name for path in code_files("analysis_lib.techniques.registry")}
    assert {"general.py", "default.py"} <= whole, "but a function that takes names depends on all"
