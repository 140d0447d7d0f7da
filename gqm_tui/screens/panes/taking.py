"""Take rows of a table out of the screen: one to the clipboard, all that are shown into a file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gqm_tui.core.actionlog import curl
from gqm_tui.core.actions import Call
from gqm_tui.core.client import path, query
from gqm_tui.core.export import object_json, row_text, to_csv, to_json
from gqm_tui.core.model import Model
from gqm_tui.core.table import Column, Row
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.choose import Choice, ChooseScreen

if TYPE_CHECKING:
    from gqm_tui.screens.panes.table_pane import TablePane

_PLACES = {
    "queues": "queues",
    "workers": "workers",
    "cron": "cron",
    "servers": "servers",
    "jobs": "jobs",
    "worker": "jobs",
    "failed-flat": "jobs",
    "dag-roots": "jobs",
    "dag-deferred": "jobs",
    "cron-history": "jobs",
}
"""Where the API keeps what a row of a table stands for."""
_IDENTITIES = ("id", "name", "fingerprint", "job_id")
_HINT_CELLS = 34


def item_of(pane: "TablePane", row: Row) -> Model | None:
    """The API's object behind a row, as it was last sent."""
    part = pane.part(pane.view.main)
    value = None if part is None else part.value
    for item in value if isinstance(value, list) else ():
        names = (getattr(item, name, None) for name in _IDENTITIES)
        if isinstance(item, Model) and next((name for name in names if name is not None), None) == row.key:
            return item
    return None


def request_of(pane: "TablePane", row: Row) -> Call:
    """The request that reads the row's object, or else the list it stands in."""
    place = _PLACES.get(pane.table_name)
    if place is not None:
        return Call("GET", path(place, row.key))
    spec = pane.specs()[0]
    return Call("GET", spec.path, query(spec.params))


def with_values(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Give the columns that have raw values, each naming the one it has; pictures and marks stay out."""
    known = set().union(*(row.values for row in rows)) if rows else set()
    found = []
    for column in columns:
        name = column.key if column.key in known else column.sort
        if name in known:
            found.append(replace(column, sort=name))
    return found


def copy(pane: "TablePane") -> None:
    """Ask what of the row under the cursor to copy."""
    row = pane.current
    if row is None:
        pane.app.notify("there is no row to copy", markup=False)
        return
    request = request_of(pane, row)
    choices = (
        Choice("id", "Name" if pane.table_name == "queues" else "Id", fit_middle(row.key, _HINT_CELLS), "i"),
        Choice("row", "Row", "as it is shown, with tabs", "r"),
        Choice("json", "JSON", "the whole object, secrets hidden", "j"),
        Choice("curl", "curl command", fit_middle(f"GET {request.path}", _HINT_CELLS), "c"),
    )

    def take(what: str | None) -> None:
        out = pane.gqm.outside
        match what:
            case "id":
                out.copy(fit(row.key, 512), f"{fit_middle(row.key, 40)}")
            case "row":
                out.copy(row_text(pane.columns(), row), "the row")
            case "json":
                item = item_of(pane, row)
                columns = with_values(pane.columns(), [row])
                redact = pane.gqm.settings.redact
                text = to_json(columns, [row]) if item is None else object_json(item, redact)
                out.copy(text, "the row as JSON")
            case "curl":
                out.copy(curl(pane.gqm.client.origin, request), "a curl command")

    pane.app.push_screen(ChooseScreen("Copy", choices), take)


def export(pane: "TablePane") -> None:
    """Ask in which format to save the marked rows, or else all that are shown."""
    rows = [row for key in pane.table.keys if (row := pane.table.row(key)) is not None]
    marked = [row for row in rows if row.key in pane.marks]
    rows = marked or rows
    if not rows:
        pane.app.notify("there are no rows to save", markup=False)
        return
    words = f"{len(rows):,} {'marked ' if marked else ''}{'row' if len(rows) == 1 else 'rows'}"
    part = f"{words} of this page" if pane.paged and not marked else words
    choices = (
        Choice("csv", "CSV", "for a spreadsheet", "c"),
        Choice("json", "JSON", "for a program", "j"),
    )

    def take(suffix: str | None) -> None:
        if suffix is not None:
            columns = with_values(pane.columns(), rows)
            text = to_csv(columns, rows) if suffix == "csv" else to_json(columns, rows)
            pane.gqm.outside.save(text, pane.table_name, suffix, words)

    pane.app.push_screen(ChooseScreen(f"Export {part}", choices), take)
