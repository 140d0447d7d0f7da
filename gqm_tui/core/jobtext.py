"""What the screens say about one job in a few words: where it is, what went wrong, how often it was tried."""

from gqm_tui.core import fmt
from gqm_tui.core.model import Job
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Tone
from gqm_tui.core.text import fit, fit_middle

_ERROR_CELLS = 300


def first_line(text: str | None) -> str:
    """Give the first line of a text that has something in it."""
    # Only the head is looked at: a huge error costs no more than a short one.
    return next((line for line in (text or "")[:4_096].split("\n") if line.strip()), "").strip()


def error_cell(job: Job) -> CellText:
    """Give the first line of the error, or why the job was canceled."""
    if job.error:
        bad = job.status in ("dead_letter", "failed")
        return CellText(fit(first_line(job.error), _ERROR_CELLS), Tone.BAD if bad else Tone.WARN)
    return CellText(fit(first_line(job.cancel_reason), _ERROR_CELLS), Tone.DIM)


def tries(job: Job, cells: int = 5) -> CellText:
    """Give retries done of retries allowed; the last one used up is a warning."""
    text = f"{job.retry_count}/{job.max_retry}"
    used = 0 < job.max_retry <= job.retry_count
    return CellText(fit(text, cells), Tone.WARN if used else Tone.PLAIN if job.retry_count else Tone.DIM)


def state_cell(status: str, signs: Signs, cells: int) -> CellText:
    """Give glyph and word of a state, or the word alone where both have no room."""
    both = signs.job(status)
    return both if cells >= len("✗ deferred") else CellText(fit(signs.word(status), cells), both.tone)


def where(job: Job, now: float | None, signs: Signs, cells: int) -> CellText:
    """Tell where a job is, or what it waits for: its worker, its time, the jobs before it."""
    if job.status in ("scheduled", "retry") and job.due_at is not None:
        return _due(job.due_at, now)
    if job.status in ("ready", "deferred"):
        return CellText(f"waits on {len(job.pending_deps)}" if job.pending_deps else "", Tone.DIM)
    name = job.worker_id or job.pool or ""
    if job.status != "processing":
        return CellText(fit_middle(name, cells), Tone.DIM)
    if job.stale:
        return CellText(f"{signs.glyph('stale')} {fit_middle(name, cells - 2)}", Tone.BAD)
    return CellText(fit_middle(name, cells), Tone.ACTIVE)


def _due(at: float, now: float | None) -> CellText:
    if now is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    return CellText(f"in {fmt.age(at - now)}", Tone.PLANNED) if at > now else CellText("due", Tone.WARN)


def age_cell(now: float | None, moment: float | None, cells: int) -> CellText:
    """Give how long ago a moment was; from a hundred days on, whole days where hours have no room."""
    if moment is None:
        return CellText(fmt.ZERO, Tone.DIM)
    if now is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    text = fmt.age(now - moment)
    return CellText(text if len(text) <= cells else text.partition("d")[0] + "d")
