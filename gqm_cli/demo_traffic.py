"""What ``gqm demo`` enqueues and when: the same sequence for the same seed and rate."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gqm.job import Options
from gqm_cli.demo_jobs import SILENT_DOMAIN, SLOW_DOMAIN

IMPORT_EVERY_S = 15.0
IMPORTS_PER_FAILURE = 4
ALBUM_EVERY_S = 60.0
REPORT_EVERY_S = 12.0
NEWSLETTER_EVERY_S = 4.0
REMINDER_EVERY_S = 5.0

SLOW_SHARE, SILENT_SHARE = 0.03, 0.01
"""Mails that time out once, and always."""
BAD_SHARE = 0.03
URGENT_SHARE = 0.02
IMAGES_PER_S = 0.8
"""Most pictures a second beside the albums: what a few processes do at leisure."""

_FIRST = ("ana", "bo", "chen", "dara", "emre", "fatou", "goran", "hana", "ines", "jun", "kofi", "lena")
_LAST = ("abe", "berg", "costa", "diaz", "eriksen", "farah", "gruber", "haddad", "ito", "jansen", "kaya")
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example")
_SUBJECTS = ("Welcome", "Your order is on its way", "Your receipt", "New sign-in", "Weekly summary")
_EVENTS = ("order.created", "order.paid", "order.shipped", "customer.changed")
_TABLES = ("customers", "orders", "stock")
_REPORTS = ("revenue", "churn", "inventory", "forecast")


@dataclass(frozen=True, slots=True)
class Order:
    """One job to be enqueued."""

    at_s: float
    """When to enqueue it, in seconds since the start."""
    type: str
    payload: Mapping[str, object]
    options: Options = field(default_factory=lambda: Options())
    delay_s: float = 0.0
    """How long it waits in Redis before it may run."""


def traffic(seed: int, rate: float) -> Iterator[Order]:
    """Yield jobs without end, in the order of their time.

    ``rate`` is how many short jobs there are a second on average; imports, reports, albums, newsletters and
    reminders come beside them, at a pace of their own.
    """
    streams = (
        _opening(),
        _steady(_dice(seed, "steady"), rate),
        _imports(_dice(seed, "imports")),
        _albums(_dice(seed, "albums")),
        _reports(_dice(seed, "reports")),
        _newsletters(_dice(seed, "newsletters")),
        _reminders(_dice(seed, "reminders")),
    )
    return heapq.merge(*streams, key=lambda order: order.at_s)


def _dice(seed: int, stream: str) -> random.Random:
    return random.Random(f"{seed} {stream}")  # seeding with text means the same on every machine


def _opening() -> Iterator[Order]:
    """Yield what shows every kind of trouble in the first seconds."""
    yield Order(0.0, "invoice.render", {"number": "R-2000", "cents": 4900}, {"queue": "billing"})
    for name in ("ana.berg", "jun.ito"):
        mail = {"to": f"{name}@{SILENT_DOMAIN}", "subject": _SUBJECTS[0], "kilobytes": 40}
        yield Order(0.0, "email.send", mail, {"queue": "mail", "max_retry": 0})
    yield Order(0.0, "fax.send", {"to": "+49 30 555 0100"}, {"enqueued_by": "back office"})
    for minutes in (1, 5, 30, 24 * 60):
        reminder: dict[str, object] = {"text": f"{minutes} min later"}
        yield Order(0.0, "reminder.send", reminder, delay_s=minutes * 60.0)


# ------------------------------------------------------------------------------ the steady stream


def _steady(dice: random.Random, rate: float) -> Iterator[Order]:
    """Yield short jobs at random times, ``rate`` of them a second on average."""
    image_share = min(0.04, IMAGES_PER_S / rate)
    kinds = ("email", "invoice", "webhook", "image")
    weights = (0.72 - image_share, 0.16, 0.12, image_share)
    at_s = 0.0
    for number in itertools.count(1):
        at_s += dice.expovariate(rate)
        match dice.choices(kinds, weights)[0]:
            case "email":
                yield _email(dice, at_s)
            case "invoice":
                yield _invoice(dice, at_s, number)
            case "webhook":
                yield _webhook(dice, at_s, number)
            case _:
                yield _image(dice, at_s, f"upload-{number}")


def _email(dice: random.Random, at_s: float) -> Order:
    options: Options = {"queue": "mail", "enqueued_by": "shop"}
    if dice.random() < URGENT_SHARE:
        options = {**options, "enqueue_at_front": True, "meta": {"reason": "password reset"}}
    mail: dict[str, object] = {
        "to": f"{_person(dice)}@{_mail_domain(dice)}",
        "subject": dice.choice(_SUBJECTS),
        "kilobytes": dice.randint(20, 120),
    }
    return Order(at_s, "email.send", mail, options)


def _mail_domain(dice: random.Random) -> str:
    share = dice.random()
    if share < SILENT_SHARE:
        return SILENT_DOMAIN
    return SLOW_DOMAIN if share < SILENT_SHARE + SLOW_SHARE else dice.choice(_DOMAINS)


def _invoice(dice: random.Random, at_s: float, number: int) -> Order:
    invoice: dict[str, object] = {"number": f"R-{2000 + number}", "cents": dice.randint(500, 90_000)}
    if dice.random() >= BAD_SHARE:
        invoice["customer"] = _person(dice)
    return Order(at_s, "invoice.render", invoice, {"queue": "billing", "enqueued_by": "shop"})


def _webhook(dice: random.Random, at_s: float, number: int) -> Order:
    event: dict[str, object] = {"event": dice.choice(_EVENTS), "order": 70_000 + number}
    return Order(at_s, "webhook.post", event, {"queue": "hooks"})


def _image(dice: random.Random, at_s: float, name: str) -> Order:
    picture: dict[str, object] = {
        "file": name,
        "megapixels": round(dice.uniform(0, 24), 1),
        "width": dice.choice((320, 640, 1280)),
    }
    return Order(at_s, "image.resize", picture, {"queue": "media"})


def _person(dice: random.Random) -> str:
    return f"{dice.choice(_FIRST)}.{dice.choice(_LAST)}"


# ------------------------------------------------------------------------- what comes now and then


def _imports(dice: random.Random) -> Iterator[Order]:
    """Yield an import of nine jobs after the other; the second of every four fails."""
    for batch in itertools.count():
        at_s = batch * IMPORT_EVERY_S
        bad = dice.choice(_TABLES) if batch % IMPORTS_PER_FAILURE == 1 else ""
        yield from _one_import(dice, at_s, f"import-{batch + 1:04}", bad)


def _one_import(dice: random.Random, at_s: float, name: str, bad: str) -> Iterator[Order]:
    """Yield fetch, then parse and check of each table, load when all are checked, and a word at the end."""
    fetch, load = f"{name}-fetch", f"{name}-load"
    yield _step(at_s, "import.fetch", fetch, {})
    checks = []
    for table in _TABLES:
        rows = dice.randint(500, 4000)
        about: dict[str, object] = {"table": table, "rows": rows}
        parse = {**about, "bad_rows": dice.randint(1, 40)} if table == bad else about
        yield _step(at_s, "import.parse", f"{name}-parse-{table}", parse, fetch)
        yield _step(at_s, "import.check", f"{name}-check-{table}", about, f"{name}-parse-{table}")
        checks.append(f"{name}-check-{table}")
    yield _step(at_s, "import.load", load, {}, *checks)
    yield _step(at_s, "import.notify", f"{name}-notify", {"to": "ops@example.com"}, load, allow_failure=True)


def _step(
    at_s: float,
    type_: str,
    job_id: str,
    payload: Mapping[str, object],
    *parents: str,
    allow_failure: bool = False,
) -> Order:
    options: Options = {"queue": "imports", "job_id": job_id}
    if parents:
        options["depends_on"] = parents
    if allow_failure:
        options["allow_failure"] = True
    return Order(at_s, type_, payload, options)


def _albums(dice: random.Random) -> Iterator[Order]:
    """Yield many pictures at once, now and then: a backlog that builds up and drains."""
    for album in itertools.count():
        at_s = 1.0 + album * ALBUM_EVERY_S
        for number in range(1, dice.randint(16, 28)):
            yield _image(dice, at_s, f"album-{album + 1}-{number:02}")


def _reports(dice: random.Random) -> Iterator[Order]:
    for number in itertools.count():
        report: dict[str, object] = {"report": dice.choice(_REPORTS), "year": dice.randint(2020, 2025)}
        options: Options = {"queue": "reports", "enqueued_by": _person(dice), "timeout": 60}
        yield Order(number * REPORT_EVERY_S, "report.build", report, options)


def _newsletters(dice: random.Random) -> Iterator[Order]:
    """Yield mails into a queue that is paused, where they wait."""
    for number in itertools.count():
        mail: dict[str, object] = {
            "to": f"{_person(dice)}@{dice.choice(_DOMAINS)}",
            "subject": "Our newsletter",
            "kilobytes": dice.randint(60, 120),
        }
        options: Options = {"queue": "low", "enqueued_by": "marketing"}
        yield Order(number * NEWSLETTER_EVERY_S, "email.send", mail, options)


def _reminders(dice: random.Random) -> Iterator[Order]:
    for number in itertools.count():
        reminder: dict[str, object] = {"to": f"{_person(dice)}@{dice.choice(_DOMAINS)}"}
        delay_s = float(dice.randint(20, 600))
        yield Order(number * REMINDER_EVERY_S, "reminder.send", reminder, delay_s=delay_s)
