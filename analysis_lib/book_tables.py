"""Tables and figures of pages: numbered while staged, and written to files of their own."""

import base64
import csv
import io
import json
import re
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path

__all__ = [
    "number_notebook",
    "number_tables",
    "offer_tables",
    "open_figures",
    "write_figures",
    "write_tables",
]

PARTS = re.compile(
    r"(?P<fenced>^(`{3,})[\s\S]*?^\2`*$)"
    r"|^#+ (?P<heading>.+)$"
    r"|(?:^<!-- caption: (?P<caption>.+) -->\n\n?)?(?P<table>^\|.*\n\| ?:?-.*\n(?:\|.*\n?)+)",
    re.MULTILINE,
)
"""What is to be told apart in Markdown: code and directives, headings, tables with captions."""

NUMBERED = re.compile(
    r'<div class="pst-scrollable-table-container"><table class="[^"]*" id="(tab-[\w-]+)">'
    r".*?</table>\s*</div>",
    re.DOTALL,
)
"""A table with a number in a built page."""

LINK = (
    '\n<p><a class="reference download internal" download="" href="{address}">'
    '<span class="xref download myst">Download as CSV</span></a></p>'
)


FIGURE = re.compile(r'<img alt="[^"]*" src="((?:\.\./)?_images/[^"]+\.svg)" />')
WIDTH = re.compile(r'<svg[^>]* width="([\d.]+)pt"')
LETTERS = re.compile(r"scale\((0\.\d+) -")
LEAST = 9
"""Least size in pixels of the letters of a figure, wherever it is shown."""


def number_tables(text: str, page: str, heading: str = "") -> tuple[str, str]:
    """Number the plain tables of a Markdown text, and give them captions.

    The caption of a table stands above it as a comment, ``<!-- caption: What it shows. -->``;
    without one, the heading above it is its caption. So a table that is written by hand reads well
    wherever the source is shown. One that is in a directive already stays as it is.

    Parameters
    ----------
    text : str
        Markdown.
    page : str
        Name of the page, which begins the labels of its tables.
    heading : str, optional
        The last heading before the text.

    Returns
    -------
    text, heading : str
        The text with its tables in directives, and its last heading.

    Examples
    --------
    >>> print(number_tables("## Some *words*\\n\\n| a |\\n| --- |\\n| 1 |\\n", "methods")[0])
    ## Some *words*
    <BLANKLINE>
    ```{table} Some *words*
    :name: tab-methods-some-words
    <BLANKLINE>
    | a |
    | --- |
    | 1 |
    ```
    <BLANKLINE>
    """
    used: dict[str, int] = {}

    def numbered(match: re.Match) -> str:
        nonlocal heading
        heading = match["heading"] or heading
        if not match["table"]:
            return match[0]
        name = re.sub(r"[^a-z0-9]+", "-", f"tab {page} {heading}".lower()).strip("-")
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            name = f"{name}-{used[name]}"
        caption = match["caption"] or heading or page
        return f"```{{table}} {caption}\n:name: {name}\n\n{match['table'].rstrip()}\n```\n"

    return PARTS.sub(numbered, text), heading


def number_notebook(path: Path) -> None:
    """Number the plain tables in the Markdown cells of a staged notebook, in place."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    heading = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"], heading = number_tables(text, path.stem, heading)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def write_tables(executed: Path, folder: Path) -> None:
    """Write the CSV that each table of a notebook carries to where its link points."""
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            table = output.get("metadata", {}).get("table")
            if table:
                (folder / f"{table['name']}.csv").write_text(table["csv"], encoding="utf-8")


def write_figures(executed: Path, folder: Path) -> None:
    """Write every named figure of a notebook to a file, so that other pages can show it."""
    folder.mkdir(exist_ok=True)
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []) if name else []:
            data = output.get("data", {})
            if "image/svg+xml" in data:
                (folder / f"{name}.svg").write_text("".join(data["image/svg+xml"]), "utf-8")
            elif "image/png" in data:
                raw = base64.b64decode("".join(data["image/png"]))
                (folder / f"{name}.png").write_bytes(raw)


def offer_tables(html: Path, carried: Collection[str] = ()) -> None:
    """Offer the numbered tables of the built pages as CSV, as they read.

    Parameters
    ----------
    html : Path
        Folder of the built book.
    carried : collection of str
        Labels of tables that carry their data, in full precision, with a link of their own.
    """
    folder = html / "_downloads" / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted([*html.glob("*.html"), *html.glob("notebooks/*.html")]):
        text = page.read_text(encoding="utf-8")
        up = "../" * len(page.relative_to(html).parent.parts)

        def offered(match: re.Match, up: str = up) -> str:
            name = match[1]
            if name in carried:
                return match[0]
            (folder / f"{name}.csv").write_text(_csv(match[0]), encoding="utf-8")
            return match[0] + LINK.format(address=f"{up}_downloads/tables/{name}.csv")

        page.write_text(NUMBERED.sub(offered, text), encoding="utf-8")


def open_figures(html: Path) -> None:
    """Let every figure of the built pages open by itself, and never shrink to illegibility.

    On a narrow screen a wide figure scrolls inside its link.
    """
    for page in sorted([*html.glob("*.html"), *html.glob("notebooks/*.html")]):

        def opened(match: re.Match, page: Path = page) -> str:
            image = (page.parent / match[1]).read_text(encoding="utf-8")
            width = WIDTH.search(image)
            sizes = [100 * float(scale) for scale in LETTERS.findall(image)]
            pixels = LEAST * float(width[1]) / min(sizes) if width and sizes else 0
            style = f'style="min-width: min({pixels:.0f}px, 44rem)"'
            shown = match[0].replace("<img ", f"<img {style} ")
            return f'<a class="figure-link" href="{match[1]}">{shown}</a>'

        text = page.read_text(encoding="utf-8")
        page.write_text(FIGURE.sub(opened, text), encoding="utf-8")


def _csv(table: str) -> str:
    reader = _Cells()
    reader.feed(table)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [" ".join(cell.split()) for cell in row] for row in reader.rows
    )
    return text.getvalue()


class _Cells(HTMLParser):
    """Text of the cells of one table, row by row."""

    def __init__(self):
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data
