"""The handlers that are being written."""

from __future__ import annotations

import gqm

GREETING = "hello"


@gqm.handler("greet")
def greet(job: gqm.Job) -> str:
    """Greet somebody."""
    return f"{GREETING}, {job.payload['name']}"
