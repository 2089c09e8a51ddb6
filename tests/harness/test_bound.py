"""Techniques of every kind, and what is said of those that do not fit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from analysis_lib.errors import InputError
from analysis_lib.harness import gap_report
from analysis_lib.harness.bound import ESTIMATORS, NO_ANSWER, bind, row_numbers
from analysis_lib.harness.tables import make_table
from analysis_lib.techniques import Technique

NUMBER = np.arange(60)
FRAME = pd.DataFrame(
    {
        "net": [f"p{i}" for i in NUMBER % 3],
        "bug": np.where(NUMBER % 4 < 2, "high", "low"),
        "a": np.where(NUMBER % 4 < 2, 1.0, -1.0) + 0.01 * NUMBER,
        "b": NUMBER * 1.0,
    }
)
TABLE = make_table(FRAME, program="net", label="bug")


class Plain:
    """Fit and predict, and nothing else; fit returns nothing."""

    def fit(self, x, y):
        assert list(x.columns) == ["a", "b"] and len(x) == len(y)
        self.cut = x.loc[y == "high", "a"].min()

    def predict(self, x):
        return ["high" if value >= self.cut else "low" for value in x["a"]]


class Rule:
    def predict(self, x):
        return np.where(x["a"] > 0.5, "high", "low")


class Breaks(BaseEstimator, ClassifierMixin):
    """Against scikit-learn's rules: its parameter is changed when it is made."""

    def __init__(self, names=None):
        self.names = list(names or [])

    def fit(self, x, y):
        self.inner = Plain()
        self.inner.fit(x, y)
        return self

    def predict(self, x):
        return self.inner.predict(x)


def function(x):
    return Rule().predict(x)


def answers(technique, table=TABLE):
    """Return what a technique says of the last 20 rows after training on the others."""
    rows = row_numbers(table).to_numpy()
    model = bind(technique, table).make_estimator(0)
    model.fit(rows[:40], table.runs["label"].to_numpy()[:40])
    return model.predict(rows[40:])


@pytest.mark.parametrize(
    "technique",
    [
        Plain(),
        Plain,
        Rule(),
        Rule,
        function,
        Breaks(["x"]),
        LogisticRegression(),
        RandomForestClassifier(10),
        make_pipeline(StandardScaler(), LinearSVC()),
        Technique("own", "", lambda seed: LogisticRegression(), "one's own"),
        "forest",
        None,
    ],
    ids=lambda t: t if isinstance(t, str) else getattr(t, "__name__", type(t).__name__),
)
def test_every_kind_of_technique_fits(technique):
    found = answers(technique)
    truth = FRAME["bug"].to_numpy()[40:]
    assert found.shape == (20,) and (found == truth).mean() > 0.9


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_name_makes_one_that_takes_gaps(name):
    frame = FRAME.assign(a=FRAME["a"].mask(NUMBER % 5 == 0), b=FRAME["b"].mask(NUMBER == 3, np.inf))
    found = answers(name, make_table(frame, program="net", label="bug"))
    assert set(found) <= {"high", "low"}


def test_given_objects_stay_as_they_were_and_folds_start_afresh():
    given, forest = Plain(), RandomForestClassifier(5, random_state=3)
    answers(given), answers(forest)
    assert not hasattr(given, "cut") and not hasattr(forest, "classes_")
    assert forest.random_state == 3
    made = bind(forest, TABLE).make_estimator(11)
    assert made.model.random_state == 11


def test_the_table_cannot_be_changed_by_a_technique():
    class Vandal(Rule):
        def fit(self, x, y):
            x.loc[:, "a"], y[:] = 0.0, "low"

        def predict(self, x):
            found = super().predict(x)
            x.loc[:, :] = 0.0
            return found

    before = TABLE.features.copy()
    answers(Vandal())
    pd.testing.assert_frame_equal(TABLE.features, before)


def returns(value):
    return lambda x: value(x) if callable(value) else value


@pytest.mark.parametrize(
    ("technique", "message"),
    [
        (5, r"technique is of type int, without predict; expected an object with fit"),
        (StandardScaler(), "technique StandardScaler has fit but no predict; expected"),
        ("svm", "unknown technique 'svm'"),
        (
            type("Needs", (), {"__init__": lambda self, x: None}),
            "technique Needs cannot be made wi",
        ),
        (returns(None), "predict of technique <lambda> returned NoneType; expected"),
        (returns("high"), "predict of technique <lambda> returned str; expected"),
        (returns(["high"]), r"predict of technique <lambda> returned shape \(1,\) for 20 rows"),
        (returns(lambda x: np.zeros((len(x), 2))), r"predict .* returned shape \(20, 2\) for 20"),
        (
            returns(lambda x: [["high"]] * 19 + [[]]),
            "predict .* returned lists; expected one class",
        ),
        (returns(lambda x: ["High"] * len(x)), "technique <lambda> predicts 'High'; expected a cl"),
        (KMeans(2), "technique KMeans predicts [01](, [01])?; expected a class of the table"),
        (LinearRegression(), "technique LinearRegression fails in fit with ValueError: could not"),
    ],
)
def test_what_does_not_fit_is_named(technique, message):
    with pytest.raises(InputError, match=f"^{message}"):
        answers(technique)


def test_an_error_inside_names_the_step_and_the_columns():
    class Fails(Plain):
        def fit(self, x, y):
            raise RuntimeError("out of luck\nsecond line")

    with pytest.raises(InputError) as caught:
        answers(Fails())
    assert str(caught.value) == (
        "technique Fails fails in fit with RuntimeError: out of luck (X was a DataFrame of 40 rows "
        "with the columns a, b)"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_missing_values_that_a_technique_cannot_take_are_named():
    frame = FRAME.assign(b=FRAME["b"].mask(NUMBER == 2), c=np.where(NUMBER == 1, np.inf, 0.0))
    with pytest.raises(InputError) as caught:
        answers(LogisticRegression(), make_table(frame, program="net", label="bug"))
    assert "the columns b, c hold missing or infinite values: replace them" in str(caught.value)


def test_what_cannot_be_copied_is_named():
    class Locked(Rule):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    with pytest.raises(InputError, match="^technique Locked cannot be copied .*TypeError: no cop"):
        answers(Locked())


def test_classes_are_told_by_value_and_none_is_no_answer():
    frame = FRAME.assign(bug=(FRAME["bug"] == "high").astype(int))
    table = make_table(frame, program="net", label="bug")
    floats = answers(lambda x: np.where(x["a"] > 0.5, 1.0, np.nan), table)
    assert set(floats) == {"1", NO_ANSWER}
    column = answers(lambda x: np.ones((len(x), 1), dtype=np.int8), table)
    assert set(column) == {"1"}
    assert set(answers(lambda x: ["0"] * len(x), table)) == {"0"}
    with pytest.raises(InputError, match="predicts 2; expected a class of the table .0, 1., or"):
        answers(lambda x: [2] * len(x), table)


def test_text_columns_reach_a_pipeline_that_encodes_them():
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    frame = FRAME.assign(kind=np.where(FRAME["bug"] == "high", "red", "blue"))
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["kind"]))
    found = gap_report(
        frame,
        program="net",
        label="bug",
        features=["kind"],
        technique=make_pipeline(encode, LogisticRegression()),
        permutations=0,
        n_resamples=100,
    )
    assert found.scores["program_macro_recall"].eq(1).all()
    assert "GAP021" in set(found.checks["code"])


def test_a_wrong_technique_ends_the_report():
    with pytest.raises(InputError, match="technique Fails fails in predict with KeyError: 'gone'"):

        class Fails(Rule):
            def predict(self, x):
                return x["gone"]

        gap_report(FRAME, program="net", label="bug", technique=Fails())
