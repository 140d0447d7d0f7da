"""What the Failed tab shows: groups of equal errors, jobs that failed, and the queues to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len

from gqm_tui.core import fmt
from gqm_tui.core.jobstate import count_of
from gqm_tui.core.jobtext import age_cell, error_cell, first_line, tries
from gqm_tui.core.model import FailedGroup, Job, Queue
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Tone
from gqm_tui.core.text import fit, fit_middle

STATES = ("dead_letter", "retry", "failed")
"""The states that the tab walks through: given up, to be tried again, and failed as other engines note it."""

GROUP_COLUMNS = (
    Column("count", "COUNT", 6, 6, "count", right=True),
    Column("recent", "5 MIN", 6, 5, "recent_5m", right=True),
    Column("error", "ERROR", 36, 31, star=True),
    Column("types", "TYPES", 14, 0),
    Column("queues", "QUEUES", 12, 10),
    Column("first", "FIRST", 8, 0, "first"),
    Column("last", "LAST", 8, 8, "last"),
    Column("hour", "1 HOUR", 12, 6),
)
_JOB_COLUMNS = (
    Column("mark", "✓", 1, 1),
    Column("id", "JOB ID", 18, 14, "id"),
    Column("type", "TYPE", 16, 12, "type"),
    Column("queue", "QUEUE", 12, 0),
    Column("try", "TRY", 5, 5, "retry_count", right=True),
)
_ERROR = Column("error", "ERROR", 44, 26, star=True)
_FAILED = Column("time", "FAILED", 8, 8, "time", right=True)
_DUE = Column("time", "DUE", 8, 8, "time", right=True)
_NAME_CELLS = 30
_ERROR_CELLS = 300


def job_columns(status: str) -> tuple[Column, ...]:
    """The columns of the jobs; those that wait for a retry tell when it comes."""
    return (*_JOB_COLUMNS, _DUE if status == "retry" else _FAILED, _ERROR)


_WIDTHS = {column.key: (column.wide, column.narrow) for column in (*GROUP_COLUMNS, *job_columns("failed"))}


def group_row(group: FailedGroup, signs: Signs, now: float | None, *, narrow: bool, local: bool) -> Row:
    """Make the row of a group; `now` is the server's clock."""
    cells = {key: widths[narrow] for key, widths in _WIDTHS.items()}
    recent = group.recent_5m
    hour = [float(count) for count in group.hour]
    return Row(
        group.fingerprint,
        {
            "count": CellText(fmt.count(group.count), Tone.STRONG),
            "recent": CellText(f"+{fmt.count(recent)}", Tone.BAD) if recent else CellText(fmt.ZERO, Tone.DIM),
            "error": CellText(fit(first_line(group.error) or "no error text", _ERROR_CELLS)),
            "types": CellText(several(group.types, group.types_total, "types", cells["types"] or 14)),
            "queues": CellText(several(group.queues, group.queues_total, "queues", cells["queues"])),
            "first": CellText(moment(group.first, now, local=local), Tone.DIM),
            "last": CellText(moment(group.last, now, local=local), Tone.PLAIN if recent else Tone.DIM),
            "hour": CellText(signs.spark(hour, cells["hour"]), Tone.BAD if recent else Tone.DIM),
        },
    )


def job_row(job: Job, mark: CellText, now: float | None, *, narrow: bool) -> Row:
    """Make the row of a job; `now` is the server's clock."""
    cells = {key: widths[narrow] for key, widths in _WIDTHS.items()}
    return Row(
        job.id,
        {
            "mark": mark,
            "id": CellText(fit_middle(job.id, cells["id"])),
            "type": CellText(fit(job.type, cells["type"])),
            "queue": CellText(fit(job.queue, cells["queue"] or 12)),
            "try": tries(job, cells["try"]),
            "time": _time(job, now, cells["time"]),
            "error": CellText(_error(job)),
        },
        {"id": job.id, "type": job.type, "queue": job.queue, "error": job.error},
    )


def _time(job: Job, now: float | None, cells: int) -> CellText:
    if job.status != "retry":
        return age_cell(now, job.completed_at, cells)
    if job.due_at is None:
        return CellText(fmt.ZERO, Tone.DIM)
    if now is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    return CellText(f"in {fmt.age(job.due_at - now)}", Tone.PLANNED) if job.due_at > now else _NOW


_NOW = CellText("due", Tone.WARN)


def _error(job: Job) -> str:
    # All that is listed here failed, so the colour of an error would tell nothing.
    text = error_cell(job).text
    spared = job.status == "dead_letter" and job.retry_count < job.max_retry
    return f"{text} (no retry)".lstrip() if spared else text


def several(names: Sequence[str], total: int, what: str, cells: int) -> str:
    """Give a single name, or how many there are."""
    return fit(names[0], cells) if total == 1 and names else f"{total:,} {what}"


def moment(epoch_s: int, now: float | None, *, local: bool = False) -> str:
    """Write a moment of the last day as its time, an older one as its day, in eight cells."""
    if now is not None and now - epoch_s >= 86_400:
        zone = None if local else UTC
        return datetime.fromtimestamp(epoch_s, UTC).astimezone(zone).strftime("%m-%d")
    return fmt.clock(epoch_s, local=local).rstrip("Z")


def sample_lines(job: Job | None, most: int, cells: int) -> list[str]:
    """Give the last lines of a job's traceback, or its error where it has none."""
    if job is None:
        return []
    text = (job.traceback or job.error or "")[-8_192:]
    lines = [line.expandtabs(4).rstrip() for line in text.split("\n") if line.strip()]
    return [fit(line, cells) for line in lines[-most:]]


# -- the ring of queues


@dataclass(frozen=True, slots=True)
class Stop:
    """A place of the ring: a queue, or all of them, and how many jobs it has if that is known."""

    queue: str | None
    count: int | None = None


def ring(queues: Sequence[Queue], status: str, chosen: str | None) -> list[Stop]:
    """Give the places to choose from: all queues first, then by name those that have jobs in the state.

    The chosen queue stays in the ring whatever happens to it, so that nobody is thrown out of it.
    """
    counts = {queue.name: count_of(queue, status) for queue in queues}
    names = sorted({name for name, count in counts.items() if count != 0} | ({chosen} if chosen else set()))
    known = [count for count in counts.values() if count is not None]
    whole = sum(known) if counts and len(known) == len(counts) else None
    return [Stop(None, whole), *(Stop(name, counts.get(name)) for name in names)]


def turned(stops: Sequence[Stop], chosen: str | None, step: int) -> str | None:
    """Give the queue that is a step further in the ring, which has no end."""
    names = [stop.queue for stop in stops]
    at = names.index(chosen) if chosen in names else 0
    return names[(at + step) % len(names)]


def ring_text(stops: Sequence[Stop], chosen: str | None, cells: int, *, narrow: bool) -> str:
    """Write the ring with the chosen place in brackets; an ellipsis stands for what has no room."""
    texts = [_stop_text(stop, narrow=narrow) for stop in stops]
    at = next((index for index, stop in enumerate(stops) if stop.queue == chosen), 0)
    first = last = at
    grown = True
    while grown:
        grown = False
        for wider in ((first, last + 1), (first if narrow else first - 1, last)):
            inside = wider != (first, last) and wider[0] >= 0 and wider[1] < len(texts)
            if inside and cell_len(_joined(texts, at, *wider)) <= cells:
                first, last = wider
                grown = True
                break
    return _joined(texts, at, first, last)


def _joined(texts: Sequence[str], at: int, first: int, last: int) -> str:
    before = [*(["…"] if first > 0 and at > first else []), *texts[first:at]]
    after = [*texts[at + 1 : last + 1], *(["…"] if last < len(texts) - 1 else [])]
    parts = [" · ".join(before), f"‹ {texts[at]} ›", " · ".join(after)]
    return " ".join(part for part in parts if part)


def _stop_text(stop: Stop, *, narrow: bool) -> str:
    name = ("all" if narrow else "all queues") if stop.queue is None else fit(stop.queue, _NAME_CELLS)
    return name if stop.count is None else f"{name} {stop.count:,}"
