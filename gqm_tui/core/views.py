"""Saved views: a place with its filter and order under a name; kept in the state file, or written by hand."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw, Struct

from gqm_tui.core.config import SavedView
from gqm_tui.core.fields import FIELDS, TABLES_OF
from gqm_tui.core.query import QueryError

JOBS = "jobs"
"""The table of one queue's jobs, the only one that is no tab's."""
MOST_NAME_CHARS = 60
DAMAGED = "is damaged; it is left alone"


class Look(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a view shows. Empty fields leave to the place what it shows by itself."""

    tab: str
    table: str = ""
    queue: str = ""
    status: str = ""
    filter: str = ""
    sort: tuple[str, bool] | None = None
    """The column, and whether the largest comes first."""

    @property
    def words(self) -> str:
        """The view in a few words."""
        parts = [self.tab.capitalize(), self.queue, self.status, self.filter]
        return " ".join(part for part in parts if part)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that can show it, by what the filter names."""
        wanted = (self.table,) if self.table else TABLES_OF.get(self.tab, ())
        return tuple(name for name in wanted if _reads(name, self.filter))

    @property
    def usable(self) -> bool:
        """Whether there is such a place, and its filter means something there."""
        mine = (*TABLES_OF.get(self.tab, ()), *((JOBS,) if self.tab == "queues" else ()))
        if self.tab not in TABLES_OF or (self.table and self.table not in mine):
            return False
        if self.table == JOBS and not self.queue:
            return False
        return bool(self.tables) or not (self.filter or self.table)


def _reads(table: str, text: str) -> bool:
    try:
        FIELDS[table].read(text)
    except QueryError:
        return False
    return True


def read_views(kept: Raw, written: Iterable[SavedView]) -> dict[str, Look | None]:
    """Give every view by its name, those of the state file first; None for one that cannot be understood.

    Raises ValueError when the views of the state file are no table of views.
    """
    found: dict[str, Look | None] = {name: _look(raw) for name, raw in _table(kept).items()}
    for view in written:
        found.setdefault(view.name, Look(tab=view.tab, filter=view.filter))
    return found


def _table(kept: Raw) -> Mapping[str, Raw]:
    try:
        return msgspec.json.decode(kept, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("what the state file keeps as views is damaged; it is left alone") from None


def _look(raw: Raw) -> Look | None:
    try:
        look = msgspec.json.decode(raw, type=Look)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return look if look.usable else None


def keep_view(kept: Raw, written: Iterable[SavedView], name: str, look: Look) -> Raw:
    """Give the views of the state file with one more, or with another one under its name.

    Views that cannot be understood stay as they are, byte for byte. Raises ValueError with one sentence when
    the name cannot be used.
    """
    if not name.strip() or len(name) > MOST_NAME_CHARS or any(0xD800 <= ord(char) <= 0xDFFF for char in name):
        raise ValueError(f"a view needs a name of at most {MOST_NAME_CHARS} characters")
    table = dict(_table(kept))
    if name in table and _look(table[name]) is None:
        raise ValueError(f"view {name} {DAMAGED}")
    if name not in table and any(view.name == name for view in written):
        raise ValueError(f"view {name} stands in tui.toml; take another name")
    return Raw(msgspec.json.encode({**table, name: Raw(msgspec.json.encode(look))}))
