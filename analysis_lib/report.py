"""What a notebook shows: answers, numbers for other pages, numbered tables."""

import math
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["Table", "answer", "glue", "p_value", "table"]

NAME = re.compile(r"[a-z][a-z0-9-]*")
INTERVAL = re.compile(r"\[[-−+]?[\d.]+%?, [-−+]?[\d.]+%?\]")
TOGETHER = re.compile(INTERVAL.pattern + r"|(\w+ )?[=<>≤≥] [-−]?\d|[+×] \w")
"""What a cell must not break: intervals, comparisons with a number, a sign and what it adds."""

FIXED = re.compile(r"^([-+ ]?)(,?\.\d+[f%])$")
LEAST_P = 0.001


def _checked(name: str) -> str:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise InputError(
            f"name {name!r} does not fit; expected lower-case letters, digits and hyphens, "
            "beginning with a letter"
        )
    return name


def answer(text: str) -> None:
    """Show a sentence with computed numbers as Markdown.

    Parameters
    ----------
    text : str
        Markdown, usually an f-string with ready-formatted numbers. No headings: the page's
        structure is that of its Markdown cells.

    Raises
    ------
    InputError
        If a line of the text is a heading.
    """
    if re.search(r"^\s*#", text, re.MULTILINE):
        raise InputError("an answer holds no heading; put it into a Markdown cell")
    from IPython.display import Markdown, display

    display(Markdown(INTERVAL.sub(_unbroken, text)))


def p_value(p: float, *, said: bool = False) -> str:
    """Return a p-value as text: three digits after the point, or that it is below 0.001.

    Parameters
    ----------
    p : float
    said : bool, default=False
        Begin with "p", as in a sentence.

    Returns
    -------
    str
        With no-break spaces.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.0002).split()
    ('0.031', ['<', '0.001'])
    >>> p_value(0.0312, said=True).split()
    ['p', '=', '0.031']
    """
    if math.isnan(p):
        return "–"
    text = f"= {p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"
    text = f"p {text}" if said else text.removeprefix("= ")
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def glue(name: str, value: str) -> None:
    """Keep a formatted value for other pages of the book, without showing it here.

    Elsewhere it is shown by ``{glue:text}`notebooks/01_x.ipynb::name:s```.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens; unique in the notebook.
    value : str
        Formatted text. Numbers are refused: rounding is the notebook's decision.

    Raises
    ------
    InputError
        If the value is not a string.
    """
    if not isinstance(value, str):
        raise InputError(
            f"glue '{name}' got a {type(value).__name__}; format it first, as in f'{{x:.2f}}'"
        )
    from myst_nb import glue as keep

    keep(_checked(name), INTERVAL.sub(_unbroken, value), display=False)


class Table:
    """A table that JupyterLab, the book and a download show each in their own way.

    Its representations are ``text/html`` for JupyterLab and ``text/markdown``, a numbered MyST
    table with a link to its CSV. The CSV, in full precision, travels as metadata of the output;
    the book's build writes it to the file behind that link.
    """

    def __init__(self, frame: pd.DataFrame, name: str, caption: str, formats: Mapping):
        self.frame, self.name, self.caption, self.formats = frame, name, caption, formats

    def _cells(self) -> list[list[str]]:
        frame = self.frame
        columns = [
            [_text(value, self.formats.get(name)) for value in frame[name]] for name in frame
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def _numeric(self) -> list[bool]:
        # of pandas' numeric types, only bool is not written as a number
        numeric = set(self.frame.select_dtypes("number").columns)
        return [name in numeric for name in self.frame]

    def _html(self) -> str:
        sides = ["right" if numeric else "left" for numeric in self._numeric()]

        def row(cells, tag):
            inside = "".join(
                f'<{tag} style="text-align:{side}">{_bold(escape(str(cell)))}</{tag}>'
                for cell, side in zip(cells, sides, strict=True)
            )
            return f"<tr>{inside}</tr>"

        body = "".join(row(cells, "td") for cells in self._cells())
        return (
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead>{row(self.frame.columns, 'th')}</thead><tbody>{body}</tbody></table>"
        )

    def markdown(self) -> str:
        """Return the table as a numbered MyST table."""

        def line(cells):
            inside = " | ".join(str(c).replace("|", r"\|").replace("\n", " ") for c in cells)
            return f"| {TOGETHER.sub(_unbroken, inside)} |"

        rule = line("---:" if numeric else ":---" for numeric in self._numeric())
        rows = [line(self.frame.columns), rule, *(line(cells) for cells in self._cells())]
        return "\n".join(
            [f"```{{table}} {self.caption}", f":name: {self.name}", "", *rows, "```", ""]
        )

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string(index=False)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data = {
            "text/plain": repr(self),
            "text/html": self._html(),
            "text/markdown": self.markdown()
            + f"\n{{download}}`Download as CSV <tables/{self.name}.csv>`",
        }
        return data, {"table": {"name": self.name, "csv": self.frame.to_csv(index=False)}}


def _bold(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def _unbroken(match: re.Match) -> str:
    """Keep what was found on one line."""
    return match[0].replace(" ", "\N{NO-BREAK SPACE}")


def _text(value: Any, form: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_) and not form:
        return "yes" if value else "no"
    if callable(form):
        return str(form(value))
    if isinstance(value, int | np.integer) and not form:
        return format(value, ",")
    # "z": what rounds to zero has no sign
    return format(value, FIXED.sub(r"\1z\2", form)) if form else str(value)


def table(
    frame: pd.DataFrame, *, name: str, caption: str, formats: Mapping | str | None = None
) -> Table:
    """Make a numbered, captioned table of a DataFrame.

    Parameters
    ----------
    frame : DataFrame
        Columns with unique names. A named index becomes the first column or columns, any other
        index is left out.
    name : str
        Label of the table, unique in the book: lower-case letters, digits and hyphens. A page
        refers to it by ``{numref}`name```.
    caption : str
        One line: what the table shows.
    formats : str or mapping of column to str or callable, optional
        Format of the values, as in ``{"score": ".3f"}``; one string holds for every float
        column, which is ``.3g`` unless said otherwise. Whole numbers show with commas between
        thousands, truth as yes or no, missing values as a dash, and no zero with a sign.

    Returns
    -------
    Table
        To be the last line of a cell.

    Raises
    ------
    InputError
        If a name, caption or format does not fit.

    Examples
    --------
    >>> scores = pd.DataFrame({"split": ["rows", "programs"], "score": [0.71, None]})
    >>> t = table(scores, name="tab-scores", caption="Score per split.", formats=".2f")
    >>> print(t._repr_mimebundle_()[0]["text/markdown"])
    ```{table} Score per split.
    :name: tab-scores
    <BLANKLINE>
    | split | score |
    | :--- | ---: |
    | rows | 0.71 |
    | programs | – |
    ```
    <BLANKLINE>
    {download}`Download as CSV <tables/tab-scores.csv>`
    """
    if any(level is not None for level in frame.index.names):
        frame = frame.reset_index()
    if not frame.columns.is_unique:
        raise InputError(f"table '{name}' has columns of the same name")
    if not caption.strip() or "\n" in caption:
        raise InputError(f"table '{name}' needs a caption of one line")
    general = formats if isinstance(formats, str) else ".3g"
    given = formats if isinstance(formats, Mapping) else {}
    for column in given:
        if column not in frame:
            raise InputError(
                f"table '{name}' has no column '{column}'; it has {', '.join(map(str, frame))}"
            )
    floats = frame.select_dtypes("floating").columns
    return Table(frame, _checked(name), caption, {**dict.fromkeys(floats, general), **given})
