"""The producer of the quickstart: a job per text file, a report when all are counted, its publication."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import gqm

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Enqueue everything, wait for the end, print what came out."""
    shutil.rmtree(HERE / "out", ignore_errors=True)
    with gqm.Client(f"embedded://{HERE / '.gqm'}") as client:
        # Published first on purpose: it fails until the report is there, and is retried.
        published = client.enqueue("report.publish", {"edition": 1}, queue="reports")
        counts = [
            client.enqueue("text.count", {"file": path.name}, queue="texts", enqueued_by="quickstart")
            for path in sorted((HERE / "texts").glob("*.txt"))
        ]
        time.sleep(0.3)  # so that the publication is seen to fail once
        report = client.enqueue(
            "text.report", queue="reports", depends_on=[job.id for job in counts], timeout=30
        )
        for job in counts:
            print("counted  ", client.wait(job.id, timeout=60))
        print("report   ", client.wait(report.id, timeout=60))
        print("published", client.wait(published.id, timeout=60))
        job = client.get(published.id)
        assert job is not None
        print(f"           at attempt {job.attempt}, after {job.retry_count} failures")
    print()
    print((HERE / "out" / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
