"""The six sections of a job's screen as texts to look at, made when they are looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from gqm_tui.core import fmt
from gqm_tui.core.doc import Doc, JsonDoc, Span, plain, traceback_doc
from gqm_tui.core.jobdetail import Link, Moment, attempts_lines, links_doc, result_doc
from gqm_tui.core.model import Attempt, Job
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone

SECTIONS = ("Payload", "Result", "Meta", "Links", "Traceback", "Attempts")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sections are made of, and how much room the list of tries has."""

    job: Job
    attempts: Sequence[Attempt]
    links: Sequence[Link]
    moment: Moment
    cells: int
    stacked: bool
    """Whether the tries stand below the traceback too."""


class Sections:
    """Keeps the JSON that was made already, because a large one costs more than a second poll of it."""

    def __init__(self, redact: Sequence[str], signs: Signs) -> None:
        self._redact = tuple(redact)
        self._signs = signs
        self._json: dict[str, JsonDoc] = {}
        self.revealed = False

    def doc(self, name: str, facts: Facts) -> Doc:
        """What a section shows."""
        job = facts.job
        makers: dict[str, Callable[[], Doc]] = {
            "Payload": lambda: self._payload(job),
            "Result": lambda: self._json_doc("Result", job.result) or result_doc(job),
            "Meta": lambda: self._json_doc("Meta", job.meta) or plain("no meta", Tone.DIM),
            "Links": lambda: links_doc(job, facts.links, self._signs),
            "Traceback": lambda: self._traceback(facts),
            "Attempts": lambda: Doc(self._tries(facts)),
        }
        return makers[name]()

    def _payload(self, job: Job) -> Doc:
        if job.payload_invalid:
            return _stored_text(bytes(job.payload))
        return self._json_doc("Payload", job.payload) or plain("no payload", Tone.DIM)

    def _json_doc(self, name: str, raw: msgspec.Raw) -> JsonDoc | None:
        data = bytes(raw)
        if not data:
            return None
        known = self._json.get(name)
        if known is None or not known.shows(data, reveal=self.revealed):
            known = self._json[name] = JsonDoc(data, self._redact, reveal=self.revealed)
        return known

    def _traceback(self, facts: Facts) -> Doc:
        text = facts.job.traceback or facts.job.error or ""
        doc = traceback_doc(text) if text else plain("no traceback", Tone.DIM)
        if not facts.stacked or not facts.attempts:
            return doc
        lines = [list(doc.spans(index)) for index in range(len(doc))]
        return Doc([*lines, [("", Tone.PLAIN)], *self._tries(facts)])

    def _tries(self, facts: Facts) -> list[list[Span]]:
        return attempts_lines(facts.attempts, facts.moment, self._signs, facts.cells)

    def count(self, name: str, facts: Facts) -> int:
        """How many things a section has, 0 where that is no question."""
        if name == "Links":
            named = len(facts.job.depends_on or ()) + (facts.job.child_count or 0)
            return max(len(facts.links), named)
        return len(facts.attempts) if name == "Attempts" else 0

    def size(self, name: str, facts: Facts) -> str:
        """How large a section is, and how much of it is hidden."""
        job = facts.job
        octets = {
            "Payload": job.payload_bytes,
            "Result": len(bytes(job.result)),
            "Meta": len(bytes(job.meta)),
            "Traceback": len((job.traceback or "").encode("utf-8", "replace")),
        }.get(name, 0)
        doc = self._json.get(name)
        hidden = f"{doc.hidden} hidden · " if doc is not None and doc.hidden else ""
        return f"{hidden}{fmt.size(octets)}" if octets else ""


def _stored_text(raw: bytes) -> Doc:
    """A payload that is no JSON comes as one JSON string."""
    try:
        text = msgspec.json.decode(raw, type=str)
    except msgspec.MsgspecError:
        text = raw.decode("utf-8", "replace")
    note: list[Span] = [("not JSON; this is the stored text:", Tone.WARN)]
    return Doc([note, *([(line, Tone.PLAIN)] for line in text.replace("\r\n", "\n").split("\n"))])
