"""The handlers of the image pipeline. They lie in a module, so that worker processes can import them."""

from __future__ import annotations

import time

import gqm


@gqm.handler("image.fetch")
async def fetch(job: gqm.Job) -> None:
    """Fetch a picture; a broken one stays broken however often it is tried."""
    if job.payload.get("broken"):
        raise gqm.SkipRetry(f"{job.payload['picture']} is no picture")


@gqm.handler("image.resize")
def resize(job: gqm.Job) -> str:
    """Make one size of a picture."""
    time.sleep(0.1)
    return f"{job.payload['picture']}-{job.payload['width']}.webp"


@gqm.handler("image.publish")
async def publish(job: gqm.Job) -> str:
    """Publish a picture; all its sizes are there when this runs."""
    return f"https://pictures.example/{job.payload['picture']}"


@gqm.handler("image.sheet")
async def contact_sheet(job: gqm.Job) -> str:
    """Make one page of all pictures that were published."""
    return "sheet.html"
