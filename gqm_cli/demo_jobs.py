"""The jobs of ``gqm demo``: handlers as one writes them, with a pretended world around them.

Nothing here reaches the network or a disk. What a mail server, a customer's web hook or a picture would take
is slept; what goes wrong is in the payload or in the clock, so the same traffic meets the same trouble.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

import gqm

SLOW_DOMAIN, SILENT_DOMAIN = "slow.example", "silent.example"
"""Mail servers that keep silent at the first attempt, and at every one."""
BUSY_EVERY_S, BUSY_FOR_S = 20, 5
"""The receiver of the web hooks lets nobody in during the first seconds of each such period."""
REPORT_STEP_S = 0.5


# ------------------------------------------------------------------------------------------- mail


class Mail(msgspec.Struct):
    """Payload of ``email.send``."""

    to: str
    subject: str
    kilobytes: int


@gqm.handler("email.send")
def send_email(job: gqm.Job) -> dict[str, object]:
    """Send a mail. A plain function: it runs in one of the pool's threads.

    Where no answer comes, the pool's time-out ends the wait; the job is retried, and given up in the end.
    """
    mail = job.decode(Mail)
    domain = mail.to.rpartition("@")[2]
    if domain == SILENT_DOMAIN or (domain == SLOW_DOMAIN and job.attempt == 1):
        while not job.cancelled:
            time.sleep(0.05)
        raise TimeoutError(f"mx.{domain} took the connection and said nothing")
    _wait(job, mail.kilobytes / 1000)
    return {"server": f"mx.{domain}", "bytes": mail.kilobytes * 1024}


@gqm.handler("reminder.send")
async def send_reminder(job: gqm.Job) -> None:
    """Remind somebody of something. It was enqueued with a delay, and starts when that is over."""
    await asyncio.sleep(0.05)


# ---------------------------------------------------------------------------------------- billing


class Invoice(msgspec.Struct):
    """Payload of ``invoice.render``. A payload without a customer does not fit."""

    number: str
    customer: str
    cents: int


@gqm.handler("invoice.render")
def render_invoice(job: gqm.Job) -> dict[str, object]:
    """Render an invoice. A payload that does not fit never will: `decode` sends it to the dead letters."""
    invoice = job.decode(Invoice)
    _wait(job, 0.05 + invoice.cents % 100 / 1000)
    return {"file": f"{invoice.number}.pdf", "total": f"{invoice.cents / 100:.2f}"}


class RateLimited(Exception):
    """The receiver answered 429."""


def counts(error: BaseException) -> bool:
    """Whether an error is a failure of the job. Being told to come back later is none."""
    return not isinstance(error, RateLimited)


@gqm.handler("webhook.post", is_failure=counts, transient_max_age=3600)
async def post_webhook(job: gqm.Job) -> dict[str, object]:
    """Tell a customer's server about an event; while that is busy, retries do not count."""
    await asyncio.sleep(0.03)
    if time.time() % BUSY_EVERY_S < BUSY_FOR_S:
        raise RateLimited("hooks.partner.example answered 429 Too Many Requests")
    return {"status": 204}


# ------------------------------------------------------------------------------------------ media


class Picture(msgspec.Struct):
    """Payload of ``image.resize``."""

    file: str
    megapixels: float
    width: int


@gqm.handler("image.resize")
def resize_image(job: gqm.Job) -> dict[str, object]:
    """Make a picture smaller. Its pool has ``isolation: process``, so it cannot hold up the others."""
    picture = job.decode(Picture)
    _wait(job, 0.2 + picture.megapixels * 0.0541)  # 0 to 24 megapixels: 0.2 to 1.5 s
    return {"file": f"{picture.file}-{picture.width}.webp", "width": picture.width}


# ---------------------------------------------------------------------------------------- reports


@gqm.handler("report.build")
async def build_report(job: gqm.Job) -> dict[str, object]:
    """Build a report in 20 s and say how far it is. Canceled, it ends at the next ``await``."""
    steps = 40
    for step in range(1, steps + 1):
        await asyncio.sleep(REPORT_STEP_S)
        job.progress(step, steps, f"page {step}")
    return {"report": job.payload["report"], "pages": steps}


# ---------------------------------------------------------------------------------------- imports


class Table(msgspec.Struct):
    """Payload of the jobs of an import that work on one table."""

    table: str
    rows: int
    bad_rows: int = 0


@gqm.handler("import.fetch")
async def fetch_import(job: gqm.Job) -> None:
    """Fetch the archive; everything else of the import depends on this job."""
    await asyncio.sleep(0.8)


@gqm.handler("import.parse")
async def parse_table(job: gqm.Job) -> dict[str, object]:
    """Read one table of the archive. If it fails, the jobs that depend on it are canceled."""
    table = job.decode(Table)
    await asyncio.sleep(0.5 + table.rows / 4000)
    if table.bad_rows:
        raise gqm.SkipRetry(f"{table.table}: {table.bad_rows} of {table.rows} rows have no customer")
    return {"rows": table.rows}


@gqm.handler("import.check")
async def check_table(job: gqm.Job) -> dict[str, object]:
    """Compare one table with what is there already."""
    table = job.decode(Table)
    await asyncio.sleep(0.4)
    return {"new": table.rows // 3, "changed": table.rows // 5}


@gqm.handler("import.load")
async def load_import(job: gqm.Job) -> None:
    """Write all tables, once all of them are checked."""
    await asyncio.sleep(1.0)


@gqm.handler("import.notify")
async def notify_import(job: gqm.Job) -> None:
    """Say how the import ended. It has ``allow_failure``, so it also runs when the import failed."""
    await asyncio.sleep(0.1)


# -------------------------------------------------------------------------------------- schedules


@gqm.handler("stats.rollup")
async def roll_up(job: gqm.Job) -> dict[str, object]:
    """Add up the numbers of the last seconds; a cron entry enqueues it every 10 s."""
    await asyncio.sleep(0.2)
    return {"rows": 10}


@gqm.handler("search.reindex")
async def reindex(job: gqm.Job) -> None:
    """Rebuild the index in 30 s. Its cron entry fires every 20 s and replaces the run before."""
    for step in range(1, 61):
        await asyncio.sleep(0.5)
        job.progress(step, 60)


@gqm.handler("backup.nightly")
def back_up(job: gqm.Job) -> None:
    """Back up the data. Its cron entry is disabled; enable or trigger it to see it run."""
    _wait(job, 3)


# ---------------------------------------------------------------------------------------- helpers


def _wait(job: gqm.Job, seconds: float) -> None:
    """Pretend to work. Nobody can stop a thread from outside, so the handler looks whether it should stop.

    Raises ``InterruptedError`` then, because the work is not done: after a time-out the job is retried.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if job.cancelled:
            raise InterruptedError("told to stop")
        time.sleep(min(left, 0.05))
