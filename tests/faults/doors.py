"""The doors by which bad input comes in: the library, the configuration, the API and the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from typer.testing import CliRunner

import gqm
from gqm.errors import GQMError
from gqm.monitor.table import Row
from gqm.newjob import OPTION_NAMES, encode_payload
from gqm_cli.main import app
from tests.api.support import Api
from tests.faults.inputs import Maker

__all__ = ["api", "command_line", "configuration", "library"]

_SAMPLE = (Path(__file__).parents[1] / "config" / "readme_sample.yaml").read_text()
_OPTIONS = sorted(OPTION_NAMES)
_COMMANDS = (
    ("enqueue", "{}"),
    ("enqueue", "a", "--payload", "{}"),
    ("enqueue", "a", "--id", "{}"),
    ("enqueue", "a", "--queue", "{}"),
    ("enqueue", "a", "--at", "{}"),
    ("enqueue", "a", "--delay", "{}"),
    ("enqueue", "a", "--timeout", "{}"),
    ("enqueue", "a", "--retry-intervals", "{}"),
    ("enqueue", "a", "--max-retry", "{}"),
    ("enqueue", "a", "--depends-on", "{}"),
    ("enqueue", "a", "--meta", "{}"),
    ("job", "show", "{}"),
    ("job", "list", "--queue", "{}"),
    ("job", "list", "--limit", "{}"),
    ("job", "cancel", "{}", "--yes"),
    ("job", "delete", "{}", "--yes"),
    ("job", "retry", "{}", "--yes"),
    ("queue", "pause", "{}"),
    ("queue", "empty", "{}", "--yes"),
    ("cron", "trigger", "{}"),
    ("cron", "delete", "{}", "--yes"),
    ("check", "{}"),
    ("{}",),
)


def library(client: gqm.Client, maker: Maker, made: Any = None) -> bool:
    """Enqueue something; whether it was taken. What is taken reads back as it was given."""
    draw = maker.random
    pick = draw.random()
    type_: Any = made if made is not None and pick < 0.4 else maker.option() if pick < 0.5 else "a"
    payload = made if made is not None and 0.4 <= pick < 0.6 else maker.payload()
    names = draw.sample(_OPTIONS, draw.choice((0, 0, 0, 1, 1, 2, 3)))
    options: Any = {name: maker.option() for name in names}
    if made is not None and pick >= 0.6:
        options[draw.choice(_OPTIONS)] = made
    try:
        if pick < 0.9:
            job_id = client.enqueue(type_, payload, **options).id
        elif pick < 0.95:
            job_id = client.enqueue_in(type_, payload, maker.option(), **options).id
        else:
            job_id = client.enqueue_batch([gqm.Item(type_, payload, options), "a"])[0].id
    except GQMError:
        return False
    job = client.get(job_id)
    if job is not None:  # it may be kept for 0 s, or be one that replaced another
        assert job.type == type_, (job_id, type_)
        assert job.payload == json.loads(encode_payload(payload)), (job_id, payload)
    return True


def configuration(maker: Maker, made: Any = None) -> bool:
    """Read a configuration that something was done to; whether it was taken."""
    text = maker.broken(_SAMPLE)
    if made is not None:
        at = maker.random.randrange(_SAMPLE.count(": "))
        head = ": ".join(_SAMPLE.split(": ")[: at + 1])
        text = f"{head}: {made}\n{_SAMPLE[len(head) :].partition(chr(10))[2]}"
    try:
        gqm.parse_config(text, env={})
    except gqm.ConfigError as error:
        problems = error.problems
    else:
        return True
    assert all(str(problem).isprintable() for problem in problems), ascii(text)
    return False


def request(row: Row, maker: Maker, made: Any = None) -> tuple[str, bytes | None, Mapping[str, str]]:
    """Path, body and headers of a call of a route with something wrong in it."""
    draw = maker.random

    def some() -> Any:
        return made if made is not None and draw.random() < 0.5 else maker.option()

    place = quote(_shown(some()).encode("utf-8", "surrogatepass"), safe=draw.choice(("", "/.:%")))
    path = row.path
    for hole in ("{id}", "{name}", "*"):
        path = path.replace(hole, place.replace(" ", "%20"))
    if row.query is not None and draw.random() < 0.7:
        known = [*row.query.__struct_fields__, "nothing"]
        pairs = {name: _shown(some()) for name in draw.sample(known, draw.randint(1, min(3, len(known))))}
        path += "?" + urlencode(pairs, errors="surrogatepass")
    if row.method == "GET":
        return path, None, {}
    body = maker.json_text()
    if row.body is not None and draw.random() < 0.7:
        fields = row.body.__struct_fields__
        given = {name: some() for name in draw.sample(fields, draw.randint(0, min(3, len(fields))))}
        body = _json({**({"type": "a"} if "type" in fields else {}), **given}) or body
    return path, body, {"Content-Type": "application/json"}


def _shown(value: object) -> str:
    """A value as it stands in a path or a query."""
    try:
        text = value if isinstance(value, str) else ascii(value)
    except ValueError:  # more digits than Python writes
        text = "9" * 5000
    return text[:2000]


def _json(value: object) -> bytes | None:
    """JSON, with texts in place of what has no form there; ``None`` if there is no way."""
    try:
        return json.dumps(value, default=str, skipkeys=True).encode("utf-8", "surrogatepass")
    except ValueError:
        return None


def api(api: Api, row: Row, maker: Maker, made: Any = None) -> bool:
    """Call a route; whether it was taken. No answer is a 5xx, and each one is whole."""
    path, body, headers = request(row, maker, made)
    answer = api.ask(row.method, path, raw=body, headers=headers)
    assert answer.status < 500, (row.method, path, body, str(answer))
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        assert isinstance(answer.json, dict), (path, str(answer))
    return answer.status < 400


def command_line(redis_url: str, maker: Maker, made: Any = None) -> bool:
    """Run a command in this process; whether it went well. It ends by itself and shows no traceback."""
    word = made if made is not None else maker.random.choice((maker.text, maker.number))()
    # The system hands a program no NUL; surrogates stand for bytes that are no UTF-8.
    text = _shown(word).replace("\0", "")
    words = [part.replace("{}", text) if part == "{}" else part for part in maker.random.choice(_COMMANDS)]
    done = CliRunner().invoke(app, words, env={"GQM_REDIS_URL": redis_url, "COLUMNS": "120"})
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    assert "Traceback" not in done.output, (words, done.output)
    assert "internal error" not in done.output.lower(), (words, done.output)
    return done.exit_code == 0
