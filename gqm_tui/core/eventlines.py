"""What the event log says: one event as a moment, a sign with its word, and words that are safe to show."""

from dataclasses import dataclass

from rich.cells import cell_len

from gqm_tui.core.events import (
    CronEvent,
    Dropped,
    Event,
    JobEvent,
    QueueEvent,
    RedisEvent,
    ServerEvent,
)
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Tone
from gqm_tui.core.text import fit, fit_middle

SIGN_CELLS = 10
_NAME_CELLS, _ACTION_CELLS, _ERROR_CELLS = 40, 16, 160
# Cells of queue, id and type of a job, on a wide and on a narrow terminal.
_JOB_CELLS = {False: (14, 18, 18), True: (8, 14, 11)}


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the log. `job_id` is what enter opens, if anything."""

    at: float
    sign: CellText
    words: str
    job_id: str = ""


def told(event: Event, signs: Signs, *, narrow: bool = False) -> Told | None:
    """Say one event; None for what is no news: the greeting, the figures, the good-bye."""
    match event:
        case JobEvent():
            return Told(event.ts, _became(event, signs), _job(event, narrow=narrow), event.job_id)
        case QueueEvent():
            count = "" if event.count is None else f" {event.count:,}"
            words = f"{fit(event.queue, _NAME_CELLS)} {fit(event.action, _ACTION_CELLS)}{count}"
            return Told(event.ts, CellText("queue", Tone.WARN), words)
        case CronEvent():
            words = f"{fit(event.cron_id, _NAME_CELLS)} {fit(event.action, _ACTION_CELLS)}"
            job = event.job_id or ""
            return Told(event.ts, CellText("cron"), f"{words} {fit_middle(job, 18)}".rstrip(), job)
        case ServerEvent():
            tone = Tone.BAD if event.action == "down" else Tone.GOOD
            words = f"{fit(event.server_id, _NAME_CELLS)} {fit(event.action, _ACTION_CELLS)}"
            return Told(event.ts, CellText("server", tone), words)
        case _:
            return _about_the_stream(event)


def _about_the_stream(event: Event) -> Told | None:
    match event:
        case Dropped():
            count = "some" if event.count is None else f"{event.count:,}"
            return Told(event.ts, CellText("dropped", Tone.WARN), f"{count} events, too many to show")
        case RedisEvent():
            tone = Tone.GOOD if event.up else Tone.BAD
            return Told(event.ts, CellText("redis", tone), "back" if event.up else "away")
        case _:
            return None


def gap(at: float) -> Told:
    """Say that the stream is back after it was lost."""
    return Told(at, CellText("gap", Tone.WARN), "the stream is back; what happened meanwhile is not listed")


def _became(event: JobEvent, signs: Signs) -> CellText:
    if event.to == "deleted":
        return CellText("- deleted", Tone.DIM)
    sign = signs.job(event.to)
    return CellText(fit(sign.text, SIGN_CELLS), sign.tone)


def _job(event: JobEvent, *, narrow: bool) -> str:
    queue, job, kind = _JOB_CELLS[narrow]
    parts = (
        _padded(fit(event.queue, queue), queue),
        _padded(fit_middle(event.job_id, job), job),
        _padded(fit(event.type or "", kind), kind),
        fit(event.error or "", _ERROR_CELLS),
    )
    return (" " if narrow else "  ").join(parts).rstrip()


def _padded(text: str, cells: int) -> str:
    return text + " " * (cells - cell_len(text))
