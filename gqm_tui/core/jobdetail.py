"""What the screen of one job says: its story on one line, its attempts, and the jobs around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from gqm_tui.core import fmt
from gqm_tui.core.doc import Doc, Span, plain
from gqm_tui.core.jobtext import first_line
from gqm_tui.core.model import Attempt, Graph, Job
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit, fit_middle

Spans = list[Span]
_JOINT: Span = (" ─ ", Tone.DIM)
_OUTCOMES = {"dead_letter": ("dead_letter", Tone.BAD), "retry": ("retry", Tone.WARN)}
_RUNNING = frozenset({"ready", "scheduled", "deferred", "processing", "retry"})


@dataclass(frozen=True, slots=True)
class Moment:
    """How moments and ages are written: the server's time now, and whether in local time."""

    now: float | None
    local: bool = False

    def clock(self, at: float | None) -> str:
        """Write a moment of today by its time, any other with its day."""
        if at is None:
            return fmt.UNKNOWN
        far = self.now is None or abs(self.now - at) > 43_200
        return fmt.stamp(at, local=self.local) if far else fmt.clock(at, local=self.local)

    def ago(self, at: float | None) -> str:
        """Write how long ago a moment was."""
        return fmt.age(None if at is None or self.now is None else self.now - at)


def _width(spans: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _ in spans)


def timeline(job: Job, attempts: Sequence[Attempt], moment: Moment, signs: Signs, cells: int) -> Spans:
    """Tell a job's story from left to right; tries in the middle leave when there is no room for all."""
    first: Spans = [(f"created {moment.clock(job.created_at)}", Tone.PLAIN)]
    last = _ending(job, moment, signs)
    tries = [_try(item, moment, signs) for item in sorted(attempts, key=lambda item: item.attempt)]
    shown, gap = tries, False
    while shown and _width(_joined(first, shown, last, gap)) > cells:
        # The first two and the newest say most: how it began to fail, and how it stands.
        middle = min(2, len(shown) - 1)
        shown, gap = shown[:middle] + shown[middle + 1 :], True
    return _joined(first, shown, last, gap)


def _joined(first: Spans, tries: Sequence[Spans], last: Spans, gap: bool) -> Spans:
    parts = [first, *tries[:2], *([[("…", Tone.DIM)]] if gap else []), *tries[2:], last]
    line: Spans = []
    for part in parts:
        if part:
            line += [*([_JOINT] if line else []), *part]
    return line


def _try(item: Attempt, moment: Moment, signs: Signs) -> Spans:
    status, tone = _OUTCOMES.get(item.outcome, ("warning", Tone.WARN))
    sign = "✗" if status == "retry" and not signs.ascii else signs.glyph(status)
    ended = moment.clock(item.ended_at).removesuffix("Z")
    return [(f"try {item.attempt} ", Tone.PLAIN), (sign, tone), (f" {ended}", Tone.PLAIN)]


def _ending(job: Job, moment: Moment, signs: Signs) -> Spans:
    """How it stands now, or how it ended."""
    word, tone = signs.word(job.status), signs.tone(job.status)
    match job.status:
        case "processing":
            spent = fmt.duration(job.elapsed_ms)
            told = "" if job.progress is None else f" · {progress(job)}"
            return [(f"try {job.attempt} ", Tone.PLAIN), (f"{signs.glyph('processing')} {spent}{told}", tone)]
        case "scheduled" | "retry" if job.due_at is not None and moment.now is not None:
            left = job.due_at - moment.now
            when = f"in {fmt.age(left)}" if left > 0 else "due"
            return [(f"{'runs' if job.status == 'scheduled' else 'retry'} {when}", tone)]
        case "deferred" if job.pending_deps:
            return [(f"waits on {len(job.pending_deps)}", Tone.PLAIN)]
        case "completed" if job.completed_at is not None:
            spent = "" if job.execution_duration is None else f" in {fmt.duration(job.execution_duration)}"
            return [(f"{word} {moment.clock(job.completed_at)}{spent}", tone)]
        case "canceled" | "stopped" if job.completed_at is not None:
            why = f": {fit(first_line(job.cancel_reason), 40)}" if job.cancel_reason else ""
            return [(f"{word} {moment.clock(job.completed_at)}{why}", tone)]
    return [(word, tone)]


def progress(job: Job) -> str:
    """Write how far a running handler says it is."""
    if job.progress is None:
        return ""
    return fit(f"{job.progress.current:g}/{job.progress.total:g} {job.progress.message}".strip(), 40)


def origin(job: Job) -> str:
    """Who made the job, and how long it may run."""
    parts = []
    if job.cron_id:
        parts.append(f"by cron {fit_middle(job.cron_id, 24)}")
    elif job.enqueued_by:
        parts.append(f"by {fit_middle(job.enqueued_by, 24)}")
    if job.timeout is not None:
        parts.append(f"timeout {fmt.age(job.timeout)}")
    return " · ".join(parts)


def ended_ago(job: Job, moment: Moment) -> str:
    """When it last changed, for a narrow screen."""
    words = {"completed": "done", "dead_letter": "failed", "failed": "failed", "processing": "started"}
    at = job.started_at if job.status == "processing" else job.completed_at
    if at is None or job.status in _RUNNING - {"processing"}:
        return f"created {moment.ago(job.created_at)} ago"
    return f"{words.get(job.status, job.status)} {moment.ago(at)} ago"


# -- sections


def result_doc(job: Job) -> Doc:
    """What stands where a result is missing."""
    if job.result_note:
        return plain(f"no result: {job.result_note}", Tone.WARN)
    return plain("not finished yet" if job.status in _RUNNING else "no result kept", Tone.DIM)


def attempts_lines(attempts: Sequence[Attempt], moment: Moment, signs: Signs, cells: int) -> list[Spans]:
    """A small table of the tries that ended without success, newest first."""
    if not attempts:
        return [[("no try has failed", Tone.DIM)]]
    took = max(4, *(len(fmt.duration(item.duration_ms)) for item in attempts))
    start = max(5, *(len(moment.clock(item.started_at)) for item in attempts))
    free = cells - took - start - 14
    widest = max(6, *(cell_len(fit_middle(item.worker_id, 22)) for item in attempts))
    # The error says more than the worker, so a narrow place cuts the worker's name first.
    worker = max(6, min(widest, free - 13))
    room = max(5, free - worker)
    head = f"  {'TRY':>3}  {'START':<{start}}  {'TOOK':>{took}}  {'WORKER':<{worker}}  ERROR"
    lines: list[Spans] = [[(head, Tone.DIM)]]
    for item in attempts:
        status, tone = _OUTCOMES.get(item.outcome, ("warning", Tone.WARN))
        name = fit_middle(item.worker_id, worker)
        fact = (
            f"{item.attempt:>3}  {moment.clock(item.started_at):<{start}}  "
            f"{fmt.duration(item.duration_ms):>{took}}  {name}{' ' * (worker - cell_len(name))}  "
        )
        why = first_line(item.error) or item.outcome
        if item.error_type and cell_len(why) > room:
            why = item.error_type
        if item.outcome not in _OUTCOMES:
            why = f"{item.outcome}: {why}"
        sign = signs.glyph(status)
        lines.append([(f"{sign} ", tone), (fact, Tone.PLAIN), (fit(why, room), tone)])
    return lines


@dataclass(frozen=True, slots=True)
class Link:
    """A job beside the one that is looked at; what is not known of it is empty."""

    id: str
    relation: str
    type: str = ""
    status: str = ""


def links(job: Job, graph: Graph | None) -> list[Link]:
    """The parents of a job, then its children, as far as they are known."""
    nodes = {} if graph is None else {node.id: node for node in graph.nodes}
    parents = dict.fromkeys(job.depends_on or ())
    children = dict.fromkeys(job.children or ())
    if graph is not None:
        parents |= dict.fromkeys(edge.source for edge in graph.edges if edge.target == job.id)
        children |= dict.fromkeys(edge.target for edge in graph.edges if edge.source == job.id)

    def link(job_id: str, relation: str) -> Link:
        node = nodes.get(job_id)
        return Link(job_id, relation, node.type if node else "", node.status if node else "")

    return [link(each, "parent") for each in parents] + [link(each, "child") for each in children]


def links_doc(job: Job, found: Sequence[Link], signs: Signs) -> Doc:
    """Parents and children with their states, and where else the job belongs."""
    lines: list[Spans] = []
    pending = set(job.pending_deps or ())
    for relation, title, key in (("parent", "parents", "P"), ("child", "children", "C")):
        here = [each for each in found if each.relation == relation]
        more = (job.child_count or 0) - len(here) if relation == "child" else 0
        if not here and more <= 0:
            continue
        lines += [[("", Tone.PLAIN)]] if lines else []
        lines.append([(f"{title} {len(here) + max(0, more)}", Tone.STRONG), (f"  {key} opens", Tone.DIM)])
        width = max(4, *(min(24, cell_len(fit(each.type, 24))) for each in here)) if here else 4
        lines += [_link_line(each, each.id in pending, width, signs) for each in here]
        if more > 0:
            lines.append([(f"  {more:,} more are not listed", Tone.DIM)])
    lines = lines or [[("no parents, no children", Tone.DIM)]]
    return Doc([*lines, [("", Tone.PLAIN)], *_places(job)])


def _link_line(link: Link, waited_for: bool, width: int, signs: Signs) -> Spans:
    state = signs.job(link.status) if link.status else None
    word = "…" if state is None else state.text
    name = fit(link.type, 24) or "…"
    pad = " " * max(0, width - cell_len(name))
    line: Spans = [
        (f"  {word:<11}", state.tone if state else Tone.DIM),
        (f"  {name}{pad}  ", Tone.PLAIN),
        (link.id, Tone.DIM),
    ]
    return [*line, ("  waited for", Tone.WARN)] if waited_for else line


def _places(job: Job) -> list[Spans]:
    facts = [
        ("cron", job.cron_id),
        ("worker", job.worker_id),
        ("server", job.server_id),
        ("queue", job.queue),
        ("enqueued by", job.enqueued_by),
    ]
    return [[(f"{name:<12}", Tone.DIM), (value, Tone.PLAIN)] for name, value in facts if value]
