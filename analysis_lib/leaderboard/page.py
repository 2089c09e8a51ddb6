"""A table that readers sort and filter, in one piece of HTML that loads nothing.

Without scripts it is a plain table. With them every heading is a button that sorts, by mouse or
keyboard, and announces the order (``aria-sort``); selections above the table filter its rows; a
button saves the rows shown as CSV. Colours are those of the page around it, light or dark; on a
narrow screen the table scrolls inside its frame while its first column stays.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.report import NAME, _text

__all__ = ["SortableTable"]

STYLE = """
.sortable { margin: 1em 0; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.sortable .frame { overflow-x: auto; max-height: 75vh; overflow-y: auto;
  border: 1px solid rgba(128, 128, 128, 0.4); }
.sortable table { border-collapse: separate; border-spacing: 0; margin: 0; width: max-content;
  min-width: 100%; color: inherit; background: transparent; }
.sortable caption { text-align: left; caption-side: top; padding: 0.3em 0.5em; }
.sortable th, .sortable td { padding: 0.2em 0.55em; text-align: left; white-space: nowrap;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.25); }
.sortable .number { text-align: right; }
.sortable thead th, .sortable tbody th { background: var(--pst-color-background,
  var(--jp-layout-color0, Canvas)); color: var(--pst-color-text-base,
  var(--jp-content-font-color1, CanvasText)); }
.sortable thead th { position: sticky; top: 0; z-index: 1; vertical-align: bottom; }
.sortable tbody th { position: sticky; left: 0; font-weight: 600; }
.sortable thead th:first-child { left: 0; z-index: 2; }
.sortable th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: 0.2em 0; cursor: pointer; white-space: normal; text-align: inherit; }
.sortable th button::after { content: " \\2195"; opacity: 0.5; }
.sortable th[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
.sortable th[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
.sortable tr[hidden] { display: none; }
.sortable .controls { display: flex; flex-wrap: wrap; gap: 0.4em 1em; margin-bottom: 0.5em;
  align-items: end; }
.sortable .controls label { display: flex; flex-direction: column; }
.sortable select, .sortable .controls button { font: inherit; color: inherit; padding: 0.15em;
  background: var(--pst-color-background, var(--jp-layout-color0, Canvas));
  border: 1px solid rgba(128, 128, 128, 0.6); max-width: 100%; }
.sortable :focus-visible { outline: 2px solid currentColor; outline-offset: 1px; }
@media (max-width: 600px) {
  .sortable { font-size: 0.78rem; }
  .sortable tbody th { max-width: 9em; overflow-wrap: anywhere; white-space: normal; }
}
"""

SCRIPT = """
(function () {
  document.querySelectorAll('.sortable:not([data-ready])').forEach(function (box) {
    box.dataset.ready = 'yes';
    var body = box.querySelector('tbody'), heads = [...box.querySelectorAll('thead th')];
    var rows = [...body.rows], filters = [], controls = document.createElement('div');
    var told = document.createElement('span');
    controls.className = 'controls';
    told.setAttribute('role', 'status');
    function value(row, place) { return row.cells[place].dataset.value; }
    function filter() {
      var shown = 0;
      rows.forEach(function (row) {
        row.hidden = filters.some(function (f) {
          return f.select.value !== '' && value(row, f.place) !== f.select.value;
        });
        shown += row.hidden ? 0 : 1;
      });
      told.textContent = shown + ' of ' + rows.length + ' rows';
    }
    function sort(place, down) {
      var numeric = heads[place].classList.contains('number');
      rows.sort(function (one, two) {
        var a = value(one, place), b = value(two, place);
        if (a === '' || b === '') { return (a === '') - (b === ''); }
        var order = numeric ? a - b : a.localeCompare(b);
        return down ? -order : order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
      heads.forEach(function (head, k) {
        head.setAttribute('aria-sort', k === place ? (down ? 'descending' : 'ascending') : 'none');
      });
    }
    heads.forEach(function (head, place) {
      var button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      button.addEventListener('click', function () {
        var before = head.getAttribute('aria-sort');
        var fall = head.dataset.first === 'descending';
        sort(place, before === 'ascending' || (before !== 'descending' && fall));
      });
      head.replaceChildren(button);
      head.setAttribute('aria-sort', 'none');
      if (head.dataset.filter === undefined) { return; }
      var label = document.createElement('label'), select = document.createElement('select');
      label.append(button.textContent, select);
      select.add(new Option('all', ''));
      [...new Set(rows.map(function (row) { return value(row, place); }))]
        .forEach(function (text) { select.add(new Option(text === '' ? 'none' : text, text)); });
      select.value = head.dataset.filter;
      select.addEventListener('change', filter);
      filters.push({place: place, select: select});
      controls.append(label);
    });
    var save = document.createElement('button');
    save.type = 'button';
    save.textContent = 'Save as CSV';
    save.addEventListener('click', function () {
      var lines = [heads.map(function (head) { return head.textContent; })];
      rows.filter(function (row) { return !row.hidden; }).forEach(function (row) {
        lines.push([...row.cells].map(function (cell) { return cell.dataset.value; }));
      });
      var text = lines.map(function (line) {
        return line.map(function (t) { return '"' + t.replaceAll('"', '""') + '"'; }).join(',');
      }).join('\\n') + '\\n';
      var link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
      link.download = box.dataset.name + '.csv';
      link.click();
      URL.revokeObjectURL(link.href);
    });
    controls.append(save, told);
    box.prepend(controls);
    filter();
  });
}());
"""


class SortableTable:
    """A table with headings that sort and selections that filter.

    Parameters
    ----------
    frame : DataFrame
        Columns with unique names; the first one names the row.
    name : str
        Lower-case letters, digits and hyphens, beginning with a letter.
    caption : str
        One line.
    formats : mapping of column to str, callable or list of str, optional
        As for :func:`analysis_lib.report.table`, or the text of every row. Sorting uses the
        values, not the text.
    filters : mapping of column to str, optional
        Columns that can be filtered, and the value that is chosen at first; empty for all rows.
    descending : sequence of str
        Columns that are sorted downwards at the first click.

    Raises
    ------
    InputError
        If a name, column or chosen value does not fit.

    Examples
    --------
    >>> t = SortableTable(pd.DataFrame({"who": ["a", "b"], "score": [0.5, None]}), name="scores",
    ...                   caption="Scores.", formats={"score": ".2f"})
    >>> '<td class="number" data-value="0.5">0.50</td>' in t.to_html()
    True
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        name: str,
        caption: str,
        formats: Mapping[str, str | Callable | Sequence[str]] | None = None,
        filters: Mapping[str, str] | None = None,
        descending: Sequence[str] = (),
    ):
        self.frame, self.name, self.caption = frame, name, caption
        self.formats, self.filters = dict(formats or {}), dict(filters or {})
        self.descending = tuple(descending)
        if not (isinstance(name, str) and NAME.fullmatch(name)) or not caption.strip():
            raise InputError(f"table name {name!r} or its caption does not fit")
        if not frame.columns.is_unique or frame.empty:
            raise InputError(f"table '{name}' has columns of the same name, or no row")
        for column in (*self.formats, *self.filters, *self.descending):
            if column not in frame:
                raise InputError(f"table '{name}' has no column '{column}'")
        for column, chosen in self.filters.items():
            if chosen and chosen not in set(map(_value, frame[column])):
                raise InputError(f"no row of table '{name}' has '{chosen}' as its {column}")

    def to_html(self) -> str:
        """Return the table with its style and script, for a page or the output of a cell."""
        numeric = set(self.frame.select_dtypes("number").columns)
        heads = "".join(self._head(column, column in numeric) for column in self.frame)
        columns = [
            [
                self._cell(value, text, column in numeric, k == 0)
                for value, text in zip(self.frame[column], self._texts(column), strict=True)
            ]
            for k, column in enumerate(self.frame)
        ]
        body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
        caption = escape(self.caption)
        return (
            f'<div class="sortable" data-name="{self.name}"><style>{STYLE}</style>'
            f'<div class="frame" tabindex="0" role="region" aria-label="{caption}">'
            f'<table class="dataframe"><caption>{caption}</caption>'
            f"<thead><tr>{heads}</tr></thead>"
            f"<tbody>\n{body}\n</tbody></table></div></div><script>{SCRIPT}</script>"
        )

    def to_page(self) -> str:
        """Return a whole page with the table, light or dark as the reader has set it."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.caption)}</title><style>:root {{ color-scheme: light dark; }} "
            "body { font-family: system-ui, sans-serif; margin: 1em; background: Canvas; "
            f"color: CanvasText; }}</style></head><body>{self.to_html()}</body></html>\n"
        )

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string(index=False)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/plain": repr(self), "text/html": self.to_html()}

    def _head(self, column: str, numeric: bool) -> str:
        marks = ' class="number"' if numeric else ""
        if column in self.filters:
            marks += f' data-filter="{escape(self.filters[column])}"'
        if column in self.descending:
            marks += ' data-first="descending"'
        return f'<th scope="col"{marks}>{escape(str(column))}</th>'

    def _texts(self, column: str) -> list[str]:
        form = self.formats.get(column)
        if isinstance(form, (list, tuple)):
            return list(form)
        return [_text(value, form) for value in self.frame[column]]

    def _cell(self, value: Any, text: str, numeric: bool, first: bool) -> str:
        kind = ' class="number"' if numeric else ""
        tag = 'th scope="row"' if first else "td"
        return f'<{tag}{kind} data-value="{escape(_value(value))}">{escape(text)}</{tag[:2]}>'


def _value(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
