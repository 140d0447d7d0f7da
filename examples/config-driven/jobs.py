"""The handlers; gqm.yaml names this module, and everything else."""

from __future__ import annotations

from pathlib import Path

import gqm

OUT = Path(__file__).resolve().parent / "out"


@gqm.handler("email.send")
def send(job: gqm.Job) -> None:
    """Put a mail into the outbox. The first attempt fails, to show the retry."""
    if job.attempt == 1:
        raise ConnectionError("421 try again later")
    OUT.mkdir(exist_ok=True)
    with (OUT / "sent.txt").open("a", encoding="utf-8") as outbox:
        outbox.write(f"{job.payload['to']}\n")


@gqm.handler("report.build")
async def build(job: gqm.Job) -> dict[str, object]:
    """Build a report."""
    return {"report": job.payload["report"], "pages": 3}
