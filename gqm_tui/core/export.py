"""Take data out of the screen: CSV and JSON of rows, texts to copy, and private files for other programs."""

import contextlib
import csv
import io
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gqm_tui.core.model import Model
from gqm_tui.core.query import Value
from gqm_tui.core.redact import mask_json
from gqm_tui.core.state import write_private
from gqm_tui.core.table import Column, Row
from gqm_tui.core.text import csv_cell, escape_json, safe

_DEFAULT_PROGRAMS = {"PAGER": "less", "EDITOR": "vi"}
_MOST_TRIES = 1_000


# -- rows


def _values(columns: Sequence[Column], row: Row) -> dict[str, Value]:
    """Give a row's values by column: raw ones where there are such, else what is shown."""
    return {
        column.key: row.values[column.sort]
        if column.sort in row.values
        else row.cells[column.key].text
        if column.key in row.cells
        else None
        for column in columns
    }


def to_csv(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Write rows as CSV under the keys of their columns. Spans are seconds; unknown values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for row in rows:
        writer.writerow([_csv_value(value) for value in _values(columns, row).values()])
    return out.getvalue()


def _csv_value(value: Value) -> str:
    return "" if value is None else csv_cell(safe(value)) if isinstance(value, str) else str(value)


def to_json(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Write rows as a JSON list of objects, under the keys of their columns."""
    found = [_values(columns, row) for row in rows]
    return escape_json(json.dumps(found, ensure_ascii=False, indent=2)) + "\n"


def row_text(columns: Sequence[Column], row: Row) -> str:
    """Write a row as it is shown, with tabs between the cells."""
    cells = [row.cells[column.key].text for column in columns if column.key in row.cells]
    return "\t".join(safe(cell) for cell in cells)


# -- objects


def object_json(item: Model, redact: Sequence[str] = ()) -> str:
    """Write an object of the API as JSON: what was not sent is left out, and every digit is kept.

    The values of `redact` keys are masked. Characters that a terminal would obey or hide are escaped.
    """
    fields = {
        info.encode_name: value
        for info in msgspec.structs.fields(item)
        if (value := getattr(item, info.name)) is not None and not _is_nothing(value)
    }
    return json_text(msgspec.json.encode(fields), redact)


def _is_nothing(value: object) -> bool:
    return isinstance(value, msgspec.Raw) and not bytes(value)


def json_text(raw: bytes | msgspec.Raw, redact: Sequence[str] = ()) -> str:
    """Write JSON as it came, indented, masked and safe to be seen; empty if there is none."""
    data = bytes(raw)
    if not data:
        return ""
    text = msgspec.json.format(data, indent=2).decode("utf-8", "replace")
    return escape_json(mask_json(text, redact)[0])


# -- files


def export_name(what: str, now: float, suffix: str) -> str:
    """Return the name of an exported file, like `gqm-queues-20261124T120000Z.csv`."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", what).strip("-").lower() or "rows"
    return f"gqm-{plain[:60]}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.{suffix}"


def export_file(folder: Path, what: str, now: float, suffix: str, text: str) -> Path:
    """Write a new file that only its owner can read, and return its path. Nothing is ever overwritten.

    Raises OSError; nothing is left behind then.
    """
    name = export_name(what, now, suffix)
    stem = name.removesuffix(f".{suffix}")
    names = [name, *(f"{stem}-{number}.{suffix}" for number in range(2, _MOST_TRIES))]
    path = next((folder / one for one in names if not (folder / one).exists()), None)
    if path is None:
        raise FileExistsError(17, f"{name} and all like it exist")
    write_private(path, _bytes(text))
    return path


@contextlib.contextmanager
def private_file(text: str, name: str = "gqm", suffix: str = ".txt") -> Iterator[Path]:
    """Keep a text in a file for a pager or an editor; it is gone afterwards. Raises OSError."""
    # A folder of its own, because editors put further files beside the one they open.
    with tempfile.TemporaryDirectory(prefix="gqm-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:80].lstrip('.-') or 'gqm'}{suffix}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(_bytes(text))
        yield path


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def program(variable: str, path: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """Return the command that `PAGER` or `EDITOR` asks for on a file, less or vi if it is not set.

    Raises ValueError when the variable cannot be split into words.
    """
    line = (os.environ if env is None else env).get(variable) or _DEFAULT_PROGRAMS[variable]
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"{variable} cannot be split into words: {error}") from None
    return [*(words or [_DEFAULT_PROGRAMS[variable]]), str(path)]
