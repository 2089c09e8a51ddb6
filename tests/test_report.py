"""Answers, glued values and tables, as a notebook hands them on."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from IPython.core.formatters import format_display_data
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat import from_dict
from traitlets.config import Config

from analysis_lib import report
from analysis_lib.errors import InputError

FRAME = pd.DataFrame(
    {
        "split": ["rows", "pro|grams", None],
        "score": [0.5, 1 / 3, float("nan")],
        "runs": pd.array([12, None, 3], dtype="Int64"),
        "stable": [True, False, True],
    }
)


@pytest.fixture(autouse=True)
def shell():
    """Display as a notebook does, without a history file."""
    yield InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    InteractiveShell.clear_instance()


def shown(function, *arguments, **options) -> list[RichOutput]:
    with capture_output() as captured:
        assert function(*arguments, **options) is None
    return captured.outputs


def markdown(table) -> str:
    return format_display_data(table)[0]["text/markdown"]


def test_an_interval_stays_on_one_line():
    frame = pd.DataFrame({"gap": ["0.1 [-0.2, 0.3]", "[a, b](c) [1, 2", "9% [8%, 10%]"]})
    table = report.table(frame, name="tab-x", caption="Gaps.")
    lines = markdown(table).splitlines()
    assert lines[5:8] == [
        "| 0.1 [-0.2,\N{NO-BREAK SPACE}0.3] |",
        "| [a, b](c) [1, 2 |",
        "| 9% [8%,\N{NO-BREAK SPACE}10%] |",
    ]
    assert "[-0.2, 0.3]" in format_display_data(table)[1]["table"]["csv"]


def test_numbers_in_cells_are_written_alike():
    frame = pd.DataFrame(
        {
            "runs": [9620, 12],
            "lost": [-0.0004, 0.25],
            "gain": [-0.0004, 0.25],
            "p": [0.0002, 0.03],
            "what": ["chi > 1", "a + b"],
        }
    )
    formats = {"lost": ".2f", "gain": "+.2f", "p": report.p_value}
    lines = markdown(report.table(frame, name="tab-x", caption="C.", formats=formats)).splitlines()
    space = "\N{NO-BREAK SPACE}"
    assert lines[5] == f"| 9,620 | 0.00 | +0.00 | <{space}0.001 | chi{space}>{space}1 |"
    assert lines[6] == f"| 12 | 0.25 | +0.25 | 0.030 | a +{space}b |"
    assert report.p_value(0.0302, said=True) == f"p{space}={space}0.030"
    assert report.p_value(float("nan")) == "–"


def test_an_answer_is_markdown():
    [output] = shown(report.answer, "The gap is **0.19**.")
    assert output.data["text/markdown"] == "The gap is **0.19**."


@pytest.mark.parametrize("text", ["# Answer", "x\n\n## Answer"])
def test_an_answer_holds_no_heading(text):
    with pytest.raises(InputError, match="no heading"):
        report.answer(text)


def test_a_glued_value_is_hidden_here_and_found_by_the_book():
    [output] = shown(report.glue, "gap-four", "0.19")
    assert not {"text/plain", "text/html", "text/markdown"} & set(output.data)
    cell = from_dict(
        {
            "cell_type": "code",
            "outputs": [
                {"output_type": "display_data", "data": output.data, "metadata": output.metadata}
            ],
        }
    )
    [(name, found)] = extract_glue_data_cell(cell)
    assert name == "gap-four" and found["data"]["text/plain"] == "'0.19'"


@pytest.mark.parametrize("value", [0.19, 3, None, float("nan"), ["0.19"]])
def test_only_formatted_text_is_glued(value):
    with pytest.raises(InputError, match="format it first"):
        report.glue("gap", value)


@pytest.mark.parametrize("name", ["", "Gap", "gap_four", "4gap", "gap four", "ga::p", None])
def test_names_that_the_book_could_not_refer_to_are_refused(name):
    with pytest.raises(InputError, match="does not fit"):
        report.glue(name, "0.19")
    with pytest.raises(InputError, match="does not fit"):
        report.table(FRAME, name=name, caption="Scores.")


def test_a_table_in_the_book_is_numbered_captioned_and_aligned():
    lines = markdown(
        report.table(FRAME, name="tab-x", caption="Scores.", formats={"score": ".2f"})
    ).splitlines()
    assert lines[:2] == ["```{table} Scores.", ":name: tab-x"]
    assert lines[3:8] == [
        "| split | score | runs | stable |",
        "| :--- | ---: | ---: | :--- |",
        "| rows | 0.50 | 12 | yes |",
        r"| pro\|grams | 0.33 | – | no |",
        "| – | – | 3 | yes |",
    ]
    assert lines[-1] == "{download}`Download as CSV <tables/tab-x.csv>`"


def test_a_table_in_a_notebook_shows_the_same_cells():
    table = report.table(FRAME, name="tab-x", caption="Scores <all>.", formats=".2f")
    page = BeautifulSoup(format_display_data(table)[0]["text/html"], "html.parser")
    assert page.caption.get_text() == "Scores <all>."
    rows = [[cell.get_text() for cell in row.find_all("td")] for row in page.tbody.find_all("tr")]
    assert rows[1] == ["pro|grams", "0.33", "–", "no"]
    assert len(rows) == len(FRAME)


def test_bold_is_bold_in_a_notebook_too():
    table = report.table(pd.DataFrame({"part": ["**total**"]}), name="tab-x", caption="Parts.")
    assert "<b>total</b>" in format_display_data(table)[0]["text/html"]


def test_the_download_holds_full_precision():
    table = report.table(FRAME, name="tab-x", caption="Scores.", formats=".1f")
    carried = format_display_data(table)[1]["table"]
    second = carried["csv"].splitlines()[2].split(",")
    assert carried["name"] == "tab-x" and float(second[1]) == 1 / 3


def test_one_format_holds_for_floats_alone_and_callables_work():
    text = markdown(report.table(FRAME, name="t", caption="C.", formats=".1f"))
    assert "| rows | 0.5 | 12 | yes |" in text
    text = markdown(report.table(FRAME, name="t", caption="C.", formats={"score": "{:.0%}".format}))
    assert "| rows | 50% | 12 | yes |" in text


def test_a_named_index_is_a_column_and_any_other_is_left_out():
    by_split = FRAME.dropna(subset="split").set_index("split")[["score"]]
    assert "| split | score |" in markdown(report.table(by_split, name="t", caption="C."))
    by_split.index.name = None
    assert "| score |\n" in markdown(report.table(by_split, name="t", caption="C."))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"caption": " "}, "caption of one line"),
        ({"caption": "a\nb"}, "caption of one line"),
        ({"formats": {"scores": ".2f"}}, "no column 'scores'; it has split, score"),
    ],
)
def test_what_a_table_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        report.table(FRAME, **{"name": "t", "caption": "C."} | options)


def test_columns_of_the_same_name_are_refused():
    with pytest.raises(InputError, match="same name"):
        report.table(pd.concat([FRAME, FRAME], axis=1), name="t", caption="C.")
