"""Tab 4: what runs by the clock, when it runs next, how it went, and what is gone from the configuration."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actions import Action, cron_allowed, cron_plan
from gqm_tui.core.client import path
from gqm_tui.core.model import CronEntry
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit
from gqm_tui.screens.panes.base import rule
from gqm_tui.screens.panes.table_pane import TablePane

COLUMNS = (
    Column("id", "ID", 15, 22, "id", star=True),
    Column("schedule", "SCHEDULE", 14, 0, "schedule"),
    Column("meaning", "MEANING", 16, 16, "meaning"),
    Column("tz", "TZ", 10, 0, "tz"),
    Column("on", "ON", 3, 3, "on"),
    Column("next", "NEXT", 8, 7, "next", right=True),
    Column("last", "LAST", 10, 10, "last"),
    Column("runs", "RUNS", 10, 8),
    Column("type", "JOB TYPE", 14, 0, "type"),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
_STRIP_RUNS = 2
# What became of a slot without a job of its own: glyph and tone are those of the nearest job state.
_SLOTS = {"skipped": "canceled", "missed": "failed", "error": "dead_letter"}


def until(entry: CronEntry, now: float | None) -> CellText:
    """How long until the next run; one whose time has passed is told as late."""
    if entry.next_run is None or not entry.enabled or entry.orphaned:
        return CellText(fmt.ZERO, Tone.DIM)
    if now is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    left = entry.next_run - now
    return CellText(fmt.age(left)) if left > -1 else CellText(f"-{fmt.age(-left)}", Tone.BAD)


def last(entry: CronEntry, signs: Signs, cells: int) -> CellText:
    """How the last slot went: the state of its job, or why there was none."""
    if entry.orphaned:
        return CellText("orphaned", Tone.WARN)
    if entry.last_status in _SLOTS:
        like = _SLOTS[entry.last_status]
        return CellText(fit(f"{signs.glyph(like)} {entry.last_status}", cells), signs.tone(like))
    if entry.last_job is None:
        return CellText(fmt.ZERO, Tone.DIM)
    return signs.job(entry.last_job.status)


def runs(outcomes: Sequence[str] | None, cells: int, signs: Signs) -> str:
    """The newest runs as glyphs, oldest first; a dot where there was none."""
    newest = list(outcomes or ())[:cells]
    return "".join(signs.glyph(status) for status in reversed(newest)).rjust(cells, fmt.ZERO)


def row(
    entry: CronEntry, outcomes: Sequence[str] | None, now: float | None, signs: Signs, *, narrow: bool
) -> Row:
    """Make the row of an entry; `now` is the server's clock."""
    widths = {key: both[narrow] for key, both in _WIDTHS.items()}
    known = outcomes if outcomes is not None else entry.outcomes
    bad = any(signs.tone(status) is Tone.BAD for status in (known or ())[: widths["runs"]])
    off = not entry.enabled
    return Row(
        entry.id,
        {
            "id": CellText(fit(entry.id, 80), Tone.DIM if off else Tone.PLAIN),
            "schedule": CellText(fit(entry.cron_expr, widths["schedule"] or 14)),
            "meaning": CellText(fit(entry.description or entry.cron_expr, widths["meaning"])),
            "tz": CellText(fit(entry.timezone, widths["tz"] or 10)),
            "on": CellText("off", Tone.WARN) if off else CellText(signs.glyph("completed"), Tone.GOOD),
            "next": until(entry, now),
            "last": last(entry, signs, widths["last"]),
            "runs": CellText(runs(known, widths["runs"], signs), Tone.WARN if bad else Tone.GOOD),
            "type": CellText(fit(entry.job_type, widths["type"] or 14)),
        },
        {
            "id": entry.id,
            "schedule": entry.cron_expr,
            "meaning": entry.description,
            "tz": entry.timezone,
            "on": "off" if off else "on",
            "next": None if entry.next_run is None or off or now is None else entry.next_run - now,
            "last": entry.last_status or "",
            "type": entry.job_type,
            "queue": entry.queue,
        },
    )


class CronKeys(TablePane):
    """What can be done with one cron entry: trigger, enable or disable, delete when it is orphaned."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("cron")
    scopes = ("cron",)

    @property
    @abstractmethod
    def entry(self) -> CronEntry | None:
        """The entry that the keys are about."""

    def switch_label(self) -> str:
        """What the key that enables or disables would do."""
        entry = self.entry
        return "Disable" if entry is not None and entry.enabled else "Enable"

    def refusal(self, key: keymap.Key) -> str | None:
        """Besides the role: what the entry's state forbids."""
        locked = super().refusal(key)
        entry = self.entry
        if locked is not None or entry is None:
            return locked
        if key.id == "cron.delete":
            return None if cron_allowed(entry, Action.FORGET) else "only an orphaned entry can be deleted"
        return f"{fit(entry.id, 40)} is orphaned and never fires" if entry.orphaned else None

    def action_trigger(self) -> None:
        """Run the entry now."""
        self._act(Action.TRIGGER)

    def action_switch(self) -> None:
        """Enable the entry, or disable it."""
        if (entry := self.entry) is not None:
            self._act(Action.DISABLE if entry.enabled else Action.ENABLE)

    def action_delete(self) -> None:
        """Delete the orphaned entry."""
        self._act(Action.FORGET)

    def _act(self, action: Action) -> None:
        if (entry := self.entry) is not None:
            self.gqm.perform(cron_plan(action, entry, production=self.gqm.acting.production))


class CronPane(CronKeys):
    """All entries, the next one to run first."""

    name_of_view = "cron"
    awaited = "cron entries"
    default_sort: ClassVar[Sort] = Sort("next", False)

    @property
    def crumb(self) -> str:
        """The tab's name."""
        return "Cron"

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def specs(self) -> Sequence[PartSpec]:
        """All entries, their outcomes, and the next runs of the highlighted one."""
        found = [
            PartSpec("cron", path("cron"), {}, list[CronEntry]),
            PartSpec("outcomes", path("cron"), {"outcomes": True}, list[CronEntry], every=5.0),
        ]
        key = self.table.cursor_key
        return found if key is None else [*found, self._detail(key)]

    @staticmethod
    def _detail(entry_id: str) -> PartSpec:
        return PartSpec("next runs", path("cron", entry_id), {}, CronEntry, every=5.0)

    @property
    def entries(self) -> Sequence[CronEntry]:
        """What the server told last."""
        return self.view.value("cron", list[CronEntry]) or []

    @property
    def entry(self) -> CronEntry | None:
        """The entry under the cursor."""
        key = self.table.cursor_key
        return next((entry for entry in self.entries if entry.id == key), None)

    def build(self) -> Sequence[Row]:
        """One row an entry."""
        known = {entry.id: entry.outcomes for entry in self.view.value("outcomes", list[CronEntry]) or []}
        now, signs, narrow = self.server_now, self.gqm.signs, self.narrow
        return [row(entry, known.get(entry.id), now, signs, narrow=narrow) for entry in self.entries]

    def summary(self, total: int, shown: int) -> str:
        """How many there are, and how many fire."""
        entries = self.entries
        enabled = sum(1 for entry in entries if entry.enabled and not entry.orphaned)
        orphaned = sum(1 for entry in entries if entry.orphaned)
        parts = [f"{shown} of {total} match"] if self.filter_text else []
        parts += [f"{total} {'entry' if total == 1 else 'entries'}", f"{enabled} enabled"]
        if orphaned:
            parts.append(f"{orphaned} orphaned")
        return " · ".join(parts)

    def empty_text(self) -> tuple[str, str]:
        """What fills the table."""
        return "No cron entries.", 'They come from the section "cron" of gqm.yaml, or from server.cron(…).'

    def highlighted(self, row: Row | None) -> None:
        """Ask for the next runs of the entry under the cursor."""
        if row is not None:
            self.ask_also(self._detail(row.key))

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens, and what `e` would do."""
        return "", None, {"table.open": "History", "cron.enable": self.switch_label()}

    def strip(self, row: Row | None) -> Text | None:
        """Queue, overlap and retries of the entry under the cursor, and the runs after the next one."""
        entry = self.entry
        if entry is None:
            return None
        line = Text()
        line.append(fit(entry.id, 30), "bold")
        line.append(" ── ", self.tone(Tone.DIM))
        line.append(f"queue {fit(entry.queue, 20)} · overlap {entry.overlap_policy}")
        line.append("".join(f" · {fit(words, 50)}" for words in self._cut(entry)))
        if not self.narrow:
            retries = "default" if entry.max_retry is None else str(entry.max_retry)
            line.append(f" · max_retry {retries}{self._then(entry)}")
        return rule(line, self.size.width - 2, self.tone(Tone.DIM))

    def _cut(self, entry: CronEntry) -> Iterable[str]:
        """Expression, zone and words, as far as the columns have no room for them."""
        words = entry.description or entry.cron_expr
        room = {name: widths[self.narrow] for name, widths in _WIDTHS.items()}
        cut = cell_len(words) > room["meaning"]
        if self.narrow:  # what tells most in the least room; without a zone it is UTC
            return [*[entry.cron_expr] * cut, *[entry.timezone] * (entry.timezone != "UTC")]
        told = {"schedule": entry.cron_expr, "tz": entry.timezone, "meaning": words}
        return dict.fromkeys(text for name, text in told.items() if cell_len(text) > room[name])

    def _then(self, entry: CronEntry) -> str:
        detail = self.view.value("next runs", CronEntry)
        if detail is None or detail.id != entry.id or not detail.next_runs:
            return ""
        local = self.gqm.settings.local_time
        later = [run for run in detail.next_runs if run != entry.next_run][:_STRIP_RUNS]
        return " · then " + ", ".join(fmt.stamp(run, local=local) for run in later) if later else ""

    def open(self, row: Row) -> None:
        """Show the runs of the entry."""
        self.gqm.doors.cron_history(row.key)
