"""A shop whose server can be killed: ``gqm run`` on the embedded server, and its API with an admin's key."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.helpers import free_port
from tests.support.servers import short_folder
from tests.support.wait import eventually

__all__ = ["HOSTILE", "KEY", "Shop"]

KEY = "gqm_ak_" + "5eed" * 12
HOSTILE = "\x1b]0;owned\x07\x1b]2;owned\x1b\\\x1b]52;c;b3duZWQ=\x07"
"""Sets title and clipboard of a terminal that obeys it."""

_JOBS = """
import time
from pathlib import Path

import gqm


@gqm.handler("mail.send")
def send(job):
    return {"sent": True}


@gqm.handler("mail.bounce")
def bounce(job):
    if not Path("mended").exists():
        raise ConnectionError(job.payload.get("says", "the mail server is away"))


@gqm.handler("film.cut")
def cut(job):
    while not job.cancelled:
        time.sleep(0.05)
"""
_CONFIG = """\
redis: {{addr: embedded}}
app: {{handlers: [shop_jobs], processes: 1, shutdown_timeout: 200ms, grace_period: 200ms}}
queues: [{{name: mail}}, {{name: films}}]
pools:
  - {{name: all, job_types: ["*"], queues: [mail, films], concurrency: 4, retry: {{max_retry: 0}}}}
scheduler:
  cron_entries:
    - {{id: close-books, name: Close the books, cron_expr: "0 0 2 1 * *", job_type: mail.send, queue: mail}}
    - {{id: tidy, name: Tidy, cron_expr: "0 0 3 1 * *", job_type: mail.send, queue: mail}}
monitoring:
  api:
    enabled: true
    addr: "127.0.0.1:{port}"
    rate_limit: -1
    api_keys:
      - {{name: ops, key_hash: "sha256:{digest}", role: admin}}
"""
_UP_S = 30.0


class Shop:
    """Mails that are sent or bounce, films that are never ready, and letters that no worker takes."""

    def __init__(self) -> None:
        self.folder = short_folder()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GQM_", "XDG_"))}
        self.env = {**kept, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "PYTHONPATH": str(_ROOT)}
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        config = self.folder / "gqm.yaml"
        config.touch(0o600)
        config.write_text(_CONFIG.format(port=self.port, digest=digest))
        (self.folder / "shop_jobs.py").write_text(_JOBS)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server and wait until its API is ready."""
        with (self.folder / "run.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gqm_cli", "run"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._is_up, _UP_S, 0.05, lambda: (self.folder / "run.log").read_text())

    def kill(self) -> None:
        """End the server as ``kill -9`` does."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stock(self) -> None:
        """Enqueue one job or more of each sort, and wait until they are where they will stay."""
        for number in range(3):
            self.enqueue("letter.write", queue="letters", job_id=f"letter-{number}")
        self.enqueue("mail.send", queue="mail", job_id="mail-1")
        self.enqueue("film.cut", queue="films", job_id="film-1")
        for number in (1, 2):
            self.enqueue("mail.send", queue="mail", job_id=f"premiere-{number}", depends_on=["film-1"])
        self.enqueue("mail.bounce", queue="mail", job_id="bounced-1")
        self.becomes("bounced-1", "dead_letter")
        self.enqueue("mail.bounce", {"says": HOSTILE}, queue="mail", job_id="hostile-1")
        self.becomes("hostile-1", "dead_letter")
        self.becomes("mail-1", "completed")
        self.becomes("film-1", "processing")

    def enqueue(self, type_: str, payload: object = None, **options: object) -> None:
        """Enqueue a job through the API."""
        self.ask("POST", "jobs", {"type": type_, "payload": payload or {}, **options})

    def becomes(self, job_id: str, status: str) -> None:
        """Wait until a job has a status."""
        self.says(f"jobs/{job_id}", status=status)

    def says(self, path: str, **values: object) -> None:
        """Wait until an object of the API has these values."""
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self.ask("GET", path))
            return all(found[name] == value for name, value in values.items())

        eventually(look, _UP_S, 0.05, lambda: f"{path} has {values}; it is {found}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the API; returns the answer's data."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=_UP_S) as answer:
            return json.load(answer)["data"]

    def close(self) -> None:
        """End the server and remove the folder; the embedded Redis ends with its last user."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_UP_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "run.log").read_text()
        try:
            return bool(self.ask("GET", "servers"))
        except OSError:
            return False


_ROOT = Path(__file__).resolve().parents[2]
