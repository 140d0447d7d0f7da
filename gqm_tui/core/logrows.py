"""Rows of the action log: what was done from this screen, and what the server's audit holds."""

from urllib.parse import unquote

from rich.cells import cell_len

from gqm_tui.core import fmt
from gqm_tui.core.actionlog import Entry
from gqm_tui.core.client import V1
from gqm_tui.core.model import AuditEntry
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Tone
from gqm_tui.core.text import fit, fit_middle, safe

MINE_COLUMNS = (
    Column("at", "TIME", 9, 9, "number"),
    Column("sign", "", 1, 1),
    Column("target", "ACTION", 26, 26, "target"),
    Column("request", "REQUEST", 41, 0, "path"),
    Column("status", "CODE", 3, 3, "status", right=True),
    Column("took", "TOOK", 6, 6, "took", right=True),
    Column("text", "RESULT", 18, 21, "text", star=True),
)
AUDIT_COLUMNS = (
    Column("at", "TIME", 15, 15),
    Column("sign", "", 1, 1),
    Column("actor", "ACTOR", 12, 10),
    Column("action", "ACTION", 17, 17),
    Column("target", "TARGET", 18, 26, star=True),
    Column("count", "COUNT", 5, 0, right=True),
    Column("change", "CHANGE", 19, 0),
    Column("address", "ADDRESS", 15, 0),
)
_ID_CELLS = (18, 14)
_LONG_PART = 20
_SHORT_PART = 8
_PLACES = {"queues": "queue", "jobs": "job", "cron": "cron"}
_AUDITED = {"job": "job", "queue": "queue", "dlq": "queue", "cron": "cron"}


def short_path(path: str) -> str:
    """Write a path with its long parts, which are ids, cut: `/api/v1/jobs/01943c77…/retry`."""
    parts = path.split("/")
    return "/".join(part if len(part) <= _LONG_PART else f"{part[:_SHORT_PART]}…" for part in parts)


def mine_row(entry: Entry, context: str, signs: Signs, *, narrow: bool, local: bool) -> Row:
    """Make the row of something done from here; ``context`` is the one on the screen."""
    action = entry.plan.action.value
    call, place = entry.plan.calls[0], place_of(entry)
    room = MINE_COLUMNS[2].wide - cell_len(action) - 1
    if place is not None and place[0] == "job":
        room = min(room, _ID_CELLS[narrow])
    return Row(
        str(entry.number),
        {
            "at": CellText(fmt.clock(entry.at, local=local), Tone.DIM),
            "sign": _sign(entry.result, signs),
            "target": CellText(f"{action} {fit_middle(entry.plan.target, room)}"),
            "request": CellText(fit_middle(f"{call.method} {short_path(call.path)}", 41), Tone.DIM),
            "status": CellText(str(entry.status) if entry.status else fmt.ZERO),
            "took": CellText(fmt.duration(entry.took_ms), Tone.DIM),
            "text": _result(entry, context),
        },
        {
            "number": entry.number,
            "target": f"{action} {entry.plan.target}",
            "result": entry.result,
            "method": call.method,
            "path": call.path,
            "status": entry.status,
            "took": entry.took_ms / 1_000,
            "text": entry.text,
        },
    )


def _sign(result: str, signs: Signs) -> CellText:
    match result:
        case "done":
            return CellText(signs.glyph("completed"), Tone.GOOD)
        case "failed":
            return CellText(signs.glyph("dead_letter"), Tone.BAD)
        case "stopped":
            return CellText(signs.glyph("stopped"), Tone.WARN)
        case _:
            return CellText("?", Tone.WARN)


def _result(entry: Entry, context: str) -> CellText:
    """Say how it ended; the target is named in the row already."""
    if entry.context != context:
        return CellText(fit(f"at {entry.context}: {entry.text}", 200), Tone.DIM)
    if entry.undoable:
        return CellText("u Undo", Tone.ACTIVE)
    words = safe(entry.text).removeprefix(f"{safe(entry.plan.target)} ")
    return CellText(fit(words, 200), Tone.PLAIN if entry.result == "done" else Tone.BAD)


def place_of(entry: Entry) -> tuple[str, str] | None:
    """Give what an action was done to: `queue`, `job` or `cron`, and its name; None for many jobs."""
    parts = entry.plan.calls[0].path.removeprefix(f"{V1}/").split("/")
    kind = _PLACES.get(parts[0])
    if kind is None or len(parts) < 2 or parts[1] == "batch":
        return None
    return kind, unquote(parts[1])


def audit_row(entry: AuditEntry, signs: Signs, *, narrow: bool, local: bool) -> Row:
    """Make the row of an entry of the server's audit."""
    cells = {column.key: column.narrow if narrow else column.wide for column in AUDIT_COLUMNS}
    change = " → ".join(part for part in (entry.before, entry.after) if part)
    return Row(
        entry.id,
        {
            "at": CellText(fmt.stamp(entry.ts, local=local), Tone.DIM),
            "sign": _sign("done" if entry.ok else "failed", signs),
            "actor": CellText(fit(entry.actor or entry.source, cells["actor"])),
            "action": CellText(fit(entry.action, cells["action"])),
            "target": CellText(
                fit_middle(entry.target, cells["target"]) if _is_id(entry) else fit(entry.target, 200)
            ),
            "count": CellText(fmt.count(entry.count), Tone.PLAIN if entry.count != 1 else Tone.DIM),
            "change": CellText(fit(change, 19))
            if entry.ok
            else CellText(fit(entry.code or "refused", 19), Tone.BAD),
            "address": CellText(fit(entry.address, 15), Tone.DIM),
        },
        {
            "at": fmt.stamp(entry.ts),
            "actor": entry.actor,
            "action": entry.action,
            "target": entry.target,
            "count": entry.count,
            "change": change if entry.ok else entry.code,
            "address": entry.address,
        },
    )


def _is_id(entry: AuditEntry) -> bool:
    return entry.action.startswith("job.")


def audited_place(entry: AuditEntry) -> tuple[str, str] | None:
    """Give what an audited action was done to, as `place_of` does."""
    kind = _AUDITED.get(entry.action.partition(".")[0])
    return None if kind is None or not entry.target else (kind, entry.target)
