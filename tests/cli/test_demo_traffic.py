"""The made-up traffic of ``gqm demo``: the same for the same seed and rate, and with everything in it."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace

import pytest
import redis

import gqm
from gqm.config import parse_config
from gqm.engine.handlers import marked
from gqm_cli import demo_jobs
from gqm_cli.demo_config import config_text
from gqm_cli.demo_feed import Feed
from gqm_cli.demo_traffic import BAD_SHARE, IMAGES_PER_S, SILENT_SHARE, SLOW_SHARE, Order, traffic

STEADY = ("email.send", "invoice.render", "webhook.post", "image.resize")


def first(seconds: float, seed: int = 1, rate: float = 20) -> list[Order]:
    return list(itertools.takewhile(lambda order: order.at_s < seconds, traffic(seed, rate)))


def ids(orders: list[Order], type_: str) -> list[str]:
    return [order.options["job_id"] for order in orders if order.type == type_]


def test_the_same_seed_and_rate_make_the_same_jobs_in_every_process() -> None:
    program = (
        "import hashlib, itertools; from gqm_cli.demo_traffic import traffic; "
        "print(hashlib.sha256(repr(list(itertools.islice(traffic(7, 50), 3000))).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = repr(list(itertools.islice(traffic(7, 50), 3000)))
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


def test_another_seed_makes_other_jobs() -> None:
    assert first(30, seed=1) != first(30, seed=2)


def test_jobs_come_in_the_order_of_their_time() -> None:
    times = [order.at_s for order in first(200)]
    assert times == sorted(times)


@pytest.mark.parametrize("rate", [1, 20, 200])
def test_the_rate_is_that_of_the_short_jobs(rate: float) -> None:
    seconds = 4000 / rate
    quiet = Counter(order.type for order in first(seconds, rate=rate) if order.options.get("queue") != "low")
    albums = sum(
        order.type == "image.resize" and str(order.payload["file"]).startswith("album")
        for order in first(seconds, rate=rate)
    )
    made = sum(quiet[type_] for type_ in STEADY) - albums
    assert made / seconds == pytest.approx(rate, rel=0.06)
    assert (quiet["image.resize"] - albums) / seconds <= IMAGES_PER_S * 1.3


def test_so_many_mails_time_out_and_so_many_invoices_are_bad() -> None:
    orders = first(600)
    mails = [order for order in orders if order.type == "email.send" and order.options["queue"] == "mail"]
    domains = Counter(str(order.payload["to"]).rpartition("@")[2] for order in mails)
    assert domains[demo_jobs.SILENT_DOMAIN] / len(mails) == pytest.approx(SILENT_SHARE, abs=0.005)
    assert domains[demo_jobs.SLOW_DOMAIN] / len(mails) == pytest.approx(SLOW_SHARE, abs=0.01)
    invoices = [order for order in orders if order.type == "invoice.render"]
    bad = sum("customer" not in order.payload for order in invoices)
    assert bad / len(invoices) == pytest.approx(BAD_SHARE, abs=0.01)


def test_an_import_is_nine_jobs_every_15_s_parents_first_and_one_in_four_fails() -> None:
    orders = [order for order in first(15 * 12) if order.type.startswith("import.")]
    assert len(orders) == 12 * 9
    known: set[str] = set()
    for order in orders:
        assert known.issuperset(order.options.get("depends_on", ()))
        known.add(order.options["job_id"])
    assert len(known) == 12 * 9
    failing = [order.at_s for order in orders if order.payload.get("bad_rows")]
    assert failing == [15, 75, 135]
    assert len({order.at_s for order in orders}) == 12


def test_the_first_seconds_have_something_of_every_kind() -> None:
    opening = first(1.5)
    types = {order.type for order in opening}
    assert types >= {*STEADY, "report.build", "import.fetch", "import.notify", "reminder.send", "fax.send"}
    assert any(order.delay_s for order in opening)
    assert any(order.options.get("queue") == "low" for order in opening)
    assert any(order.type == "invoice.render" and "customer" not in order.payload for order in opening)


def test_every_type_but_one_has_a_handler_and_every_handler_has_work() -> None:
    config = parse_config(config_text(8080), env={})
    made = {order.type for order in first(60)} | {entry.job_type for entry in config.scheduler.cron_entries}
    handled = {spec.type for spec in marked(demo_jobs)}
    assert made - handled == {"fax.send"}
    assert handled <= made


def test_the_configuration_is_right_and_read_queues_are_those_that_are_fed() -> None:
    config = parse_config(config_text(8123), env={"GQM_REDIS_URL": "redis://elsewhere"})
    assert (config.app.processes, config.monitoring.api.addr) == (2, "127.0.0.1:8123")
    assert config.redis.embedded_folder
    assert config.monitoring.anonymous
    read = {queue for pool in config.pools for queue in pool.queues}
    assert {order.options.get("queue", "default") for order in first(60)} == read
    assert not [problem for problem in config.warnings if problem.rule != "W12"]
    locked = parse_config(config_text(8123, viewer_key="k" * 40), env={})
    assert not locked.monitoring.anonymous
    assert not locked.monitoring.dashboard.enabled
    assert [key.role for key in locked.monitoring.api.api_keys] == ["viewer"]


# --------------------------------------------------------------------------------------- the feed


def feed(redis_socket: str, prefix: str, orders: list[Order], stop: Event) -> Feed:
    text = f'redis: {{addr: "unix:{redis_socket}", prefix: "{prefix}"}}\n'
    return Feed(parse_config(text, env={}), iter(orders), stop)


def test_the_feed_goes_on_after_a_job_that_cannot_be_made(redis_socket: str, prefix: str) -> None:
    orders = [
        Order(0.0, "a", {"n": 1}, {"job_id": "one"}),
        Order(0.0, "a", {"n": 2}, {"job_id": "one"}),  # it lives already
        Order(0.0, "a", {}, {"job_id": "two", "depends_on": ["gone"]}),
        Order(0.0, "b", {}, {"job_id": "three"}, delay_s=60),
    ]
    feed(redis_socket, prefix, orders, Event()).run()
    with gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        one, two, three = (client.get(job_id) for job_id in ("one", "two", "three"))
    assert one is not None
    assert one.payload == {"n": 1}
    assert two is None
    assert three is not None
    assert three.status == "scheduled"


def test_the_feed_pauses_the_low_queue_and_stops_when_told(redis_socket: str, prefix: str) -> None:
    stop = Event()

    def orders() -> Iterator[Order]:
        yield Order(0.0, "a", {}, {"queue": "low"})
        yield Order(0.3, "a", {})
        stop.set()
        yield Order(3600.0, "a", {})

    feed(redis_socket, prefix, orders(), stop).run()
    with redis.Redis(unix_socket_path=redis_socket) as raw:
        assert raw.smembers(f"{prefix}paused") == {b"low"}
        assert raw.llen(f"{prefix}queue:default:ready") == 1


def test_traffic_that_is_late_does_not_come_all_at_once(
    redis_socket: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 100.0, 100.0, 100.0, 103.0])
    monkeypatch.setattr("gqm_cli.demo_feed.time", SimpleNamespace(monotonic=lambda: next(clock)))
    waits: list[float] = []

    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waits.append(timeout)
            return False

    # The clock stands at 100 s when the job of second 5 is made; so that of second 6 is due at 101 s.
    feed(redis_socket, prefix, [Order(5.0, "a", {}), Order(6.0, "a", {})], Stop()).run()
    assert len(waits) == 2
