"""Each attention rule at its edge: one step before it there is nothing to tell."""

from typing import Any

import pytest

from gqm_tui.core.alerts import Alert, Facts, Severity, Watch, fail_share, following
from gqm_tui.core.config import ContextConfig, Settings, Slo
from gqm_tui.core.history import History
from gqm_tui.core.model import CronEntry, Queue, RedisInfo, Server, Worker

NOW = 1_790_000_000.0
ERROR, WARNING = Severity.ERROR, Severity.WARNING


def settings(**slo: Slo) -> Settings:
    return Settings(context=ContextConfig(name="lab", url="http://lab"), slo=slo)


def queue(name: str = "billing", **changes: Any) -> Queue:
    counts = ("ready", "processing", "scheduled", "retry", "deferred", "completed", "dead_letter", "canceled")
    empty = ("oldest_age_ms", "in_per_min", "out_per_min", "failed_per_min", "wait_avg_ms", "run_avg_ms")
    base: dict[str, Any] = {
        **dict.fromkeys((*counts, "processed_total", "failed_total"), 0),
        **dict.fromkeys((*empty, "drain_ms", "priority")),
        "name": name,
        "paused": False,
        "pools": ("fast@eu1",),
    }
    return Queue(**(base | changes))


def worker(id: str = "fast@eu1", **changes: Any) -> Worker:
    pool, _, server_id = id.partition("@")
    base: dict[str, Any] = {
        "id": id,
        "pool": pool,
        "server_id": server_id,
        "status": "active",
        "queues": ("billing",),
        "concurrency": 8,
        "active_jobs": 0,
        "started_at": int(NOW) - 900,
        "last_heartbeat": int(NOW),
    }
    return Worker(**(base | changes))


def server(id: str = "eu1", **changes: Any) -> Server:
    base: dict[str, Any] = {
        "id": id,
        "hostname": id,
        "version": "1.0.0",
        "runtime": "python 3.12.4",
        "pid": 412,
        "num_pools": 1,
        "concurrency_total": 8,
        "busy": 0,
        "pools": ("fast",),
        "types": ("smtp.send",),
        "scheduler": True,
        "status": "active",
        "started_at": int(NOW) - 900,
        "last_heartbeat": int(NOW),
    }
    return Server(**(base | changes))


def cron(id: str = "nightly", **changes: Any) -> CronEntry:
    base: dict[str, Any] = {
        **dict.fromkeys(("last_run", "next_run", "last_status", "last_job")),
        "id": id,
        "name": id,
        "cron_expr": "0 2 * * *",
        "timezone": "UTC",
        "description": "daily at 02:00",
        "job_type": "report",
        "queue": "reports",
        "overlap_policy": "skip",
        "enabled": True,
        "orphaned": False,
        "created_at": 1,
        "updated_at": 1,
    }
    return CronEntry(**(base | changes))


def redis(**changes: Any) -> RedisInfo:
    base: dict[str, Any] = {
        "version": "7.2.5",
        "mode": "standalone",
        "embedded": False,
        "used_memory_bytes": 850,
        "maxmemory_bytes": 1_000,
        "ops_per_sec": 1,
        "connected_clients": 1,
        "evicted_keys": 0,
        "aof_enabled": True,
        "latency_ms": 1,
    }
    return RedisInfo(**(base | changes))


def look(watch: Watch | None = None, *, now: float = NOW, **facts: Any) -> list[Alert]:
    return (watch or Watch(settings())).look(Facts(now=now, **facts))


def one(**facts: Any) -> Alert:
    (alert,) = look(**facts)
    return alert


def test_nothing_known_and_all_well_need_nothing() -> None:
    assert look() == []
    well: dict[str, Any] = {
        "queues": [queue(ready=7, in_per_min=9.0, out_per_min=9.0)],
        "workers": [worker()],
    }
    assert look(**well, servers=[server()], cron=[cron()], redis=redis(), skew_ms=3.0) == []


# -- queues


def test_oldest_beyond_the_limit() -> None:
    late = queue(ready=5, oldest_age_ms=300_001, drain_ms=9)
    assert look(queues=[queue(ready=5, oldest_age_ms=300_000)]) == []
    assert one(queues=[late]) == Alert(ERROR, "billing", "oldest 5m00s, limit 5m", "queues", "billing")
    assert one(queues=[queue(ready=5, oldest_age_ms=842_000)]).text == "oldest 14m02s, limit 5m, not draining"


def test_a_queue_with_a_limit_of_its_own() -> None:
    watch = Watch(settings(billing=Slo(90.0)))
    assert look(watch, queues=[queue(ready=1, oldest_age_ms=90_000)]) == []
    (alert,) = look(
        watch, queues=[queue(ready=1, oldest_age_ms=91_000), queue("b", ready=1, oldest_age_ms=91_000)]
    )
    assert alert.text == "oldest 1m31s, limit 1m30s, not draining"


@pytest.mark.parametrize(
    ("limit", "text"), [(0.5, "0.5s"), (45, "45s"), (60, "1m"), (7_200, "2h"), (86_400, "1d"), (5_400, "90m")]
)
def test_limits_are_written_as_they_are_set(limit: float, text: str) -> None:
    watch = Watch(settings(billing=Slo(limit)))
    (alert,) = look(watch, queues=[queue(ready=1, oldest_age_ms=900_000_000)])
    assert alert.text == f"oldest 10d10h, limit {text}, not draining"


def test_paused_with_ready_jobs() -> None:
    assert look(queues=[queue(paused=True, pools=())]) == []
    alert = one(queues=[queue(paused=True, ready=7_127, pools=())])
    assert (alert.severity, alert.text) == (WARNING, "paused with 7,127 ready")
    alert = one(queues=[queue(paused=True, ready=1, oldest_age_ms=580_000)])
    assert (alert.severity, alert.text) == (ERROR, "paused with 1 ready, oldest 9m40s, limit 5m")


def test_ready_jobs_that_no_live_worker_reads() -> None:
    assert look(queues=[queue(pools=())]) == []
    alert = one(queues=[queue(ready=1, pools=())])
    assert (alert.severity, alert.text) == (ERROR, "no live worker reads it, 1 ready")
    alert = one(queues=[queue(ready=1, pools=(), oldest_age_ms=400_000)])
    assert alert.text == "no live worker reads it, 1 ready, oldest 6m40s, limit 5m"


def grow(seconds: int, *, by: int = 1, **rates: Any) -> list[Alert]:
    """Watch a queue each second while it grows by some jobs a second; return the last look."""
    watch, found = Watch(settings()), []
    for second in range(seconds + 1):
        state = queue(ready=100 + by * second, **rates)
        found = look(watch, now=NOW + second, queues=[state])
    return found


def test_a_queue_that_grew_for_a_minute() -> None:
    rates: dict[str, Any] = {"in_per_min": 2_460.0, "out_per_min": 2_292.0}
    assert grow(59, **rates) == []
    (alert,) = grow(60, **rates)
    assert (alert.severity, alert.text) == (WARNING, "grew by 60 in 60s, in 2,460/m, out 2,292/m")
    assert alert.key == "billing"
    assert grow(60, by=0, **rates) == []
    watch = Watch(settings())
    look(watch, queues=[queue(ready=7, **rates)])
    (alert,) = look(watch, now=NOW + 60, queues=[queue(ready=8, **rates)])
    assert alert.text.startswith("grew by 1 ")
    assert grow(60, in_per_min=9.0, out_per_min=9.0) == []
    assert grow(60, in_per_min=None, out_per_min=9.0) == []
    assert [alert.text for alert in grow(60, paused=True, **rates)] == ["paused with 160 ready"]


def bury(*steps: int, every_s: float = 10.0, slo: Slo | None = None, **changes: Any) -> list[Alert]:
    """Watch the dead letters of a queue take these values, one every few seconds."""
    watch, found = Watch(settings(**({"billing": slo} if slo else {}))), []
    for index, dead in enumerate(steps):
        state = queue(dead_letter=dead, **changes)
        found = look(watch, now=NOW + index * every_s, queues=[queue("a"), state])
    return found


def test_dead_letters_of_the_last_five_minutes() -> None:
    assert bury(391) == []
    assert bury(391, 400) == []
    assert bury(391, 401) == [
        Alert(WARNING, "dead letters", "+10 in 5 min, most in billing", "failed", "billing")
    ]
    assert [alert.severity for alert in bury(0, 99)] == [WARNING]
    assert [alert.severity for alert in bury(0, 100)] == [ERROR]
    assert bury(0, 10, 10, every_s=300.0) == []
    assert [alert.text for alert in bury(0, 5, 10, every_s=150.0)] == ["+10 in 5 min, most in billing"]


def test_retried_dead_letters_do_not_hide_new_ones() -> None:
    (alert,) = bury(400, 0, 12)
    assert alert.text.startswith("+12 ")


def test_the_most_frequent_error_is_named_if_known() -> None:
    watch = Watch(settings())
    look(watch, queues=[queue()])
    (alert,) = look(watch, now=NOW + 1, queues=[queue(dead_letter=312)], top_error="TimeoutError")
    assert alert.text == "+312 in 5 min, most TimeoutError"


def test_a_share_of_failures_beyond_the_limit() -> None:
    slo, rates = Slo(fail_rate=0.02), dict[str, Any](out_per_min=100.0)
    assert bury(0, slo=slo, failed_per_min=2.0, **rates) == []
    (alert,) = bury(0, slo=slo, failed_per_min=2.1, **rates)
    assert alert == Alert(ERROR, "billing", "2.1 % of the runs fail, limit 2 %", "failed", "billing")
    assert bury(0, failed_per_min=90.0, **rates) == []
    both = bury(0, 10, slo=slo, failed_per_min=2.1, **rates)
    assert [(alert.subject, alert.severity) for alert in both] == [
        ("dead letters", ERROR),
        ("billing", ERROR),
    ]


def test_the_share_of_failures() -> None:
    assert fail_share(queue()) is None
    assert fail_share(queue(failed_per_min=0.0, out_per_min=0.0)) is None
    assert fail_share(queue(failed_per_min=5.0, out_per_min=None)) == 1.0
    assert fail_share(queue(failed_per_min=5.0, out_per_min=100.0)) == 0.05


def test_counts_that_are_lower_bounds() -> None:
    alert = one(queues=[queue(counts_truncated=True)])
    assert (alert.severity, alert.key) == (WARNING, "billing")
    assert "lower bounds" in alert.text


# -- machines


def test_a_stale_server_is_one_problem_with_its_pools() -> None:
    gone = server("eu3", status="stale", busy=3, last_heartbeat=int(NOW) - 12)
    pools = [worker("fast@eu3", status="stale"), worker("slow@eu3", status="stale")]
    found = look(servers=[server(), gone], workers=pools)
    assert found == [Alert(ERROR, "eu3", "no heartbeat for 12s, 3 jobs held", "servers", "eu3")]
    assert look(servers=[server(), server("eu2", status="stopping")]) == []


def test_a_stale_worker_whose_server_is_not_known() -> None:
    stale = worker(status="stale", active_jobs=1, last_heartbeat=int(NOW) - 12)
    assert one(workers=[stale]) == Alert(
        ERROR, "fast@eu1", "no heartbeat for 12s, 1 job held", "workers", "fast@eu1"
    )
    assert look(workers=[worker(status="stopping")]) == []


def test_handlers_left_behind() -> None:
    assert look(workers=[worker(abandoned=0)]) == []
    alert = one(workers=[worker(abandoned=1)])
    assert (alert.severity, alert.text) == (WARNING, "1 handler left behind after their time-out")


def test_nobody_runs_the_scheduler() -> None:
    alert = one(servers=[server(scheduler=False), server("eu2", scheduler=False)])
    assert (alert.severity, alert.subject) == (ERROR, "scheduler")
    assert look(servers=[server(scheduler=False), server("eu2")]) == []
    leaving = look(servers=[server(scheduler=False), server("eu2", status="stopping")])
    assert [alert.subject for alert in leaving] == ["scheduler"]
    assert one(servers=[]).text == "none is active: no job runs"


def test_two_versions() -> None:
    assert look(servers=[server(), server("eu2")]) == []
    alert = one(
        servers=[server(), server("eu2"), server("eu3", version="0.10.0"), server("eu4", version="0.9.1")]
    )
    assert alert == Alert(WARNING, "servers", "3 versions: 0.9.1, 0.10.0, 1.0.0", "servers", "eu4")


# -- cron


def test_a_cron_entry_that_did_not_fire() -> None:
    assert look(cron=[cron(next_run=int(NOW) - 60)]) == []
    alert = one(cron=[cron(next_run=int(NOW) - 61)])
    assert alert == Alert(ERROR, "nightly", "due 1m01s ago and not fired", "cron", "nightly")
    assert look(cron=[cron(next_run=int(NOW) - 61, enabled=False)]) == []


@pytest.mark.parametrize(
    ("status", "severity"), [("triggered", None), ("skipped", None), ("missed", WARNING), ("error", ERROR)]
)
def test_the_last_run_of_a_cron_entry(status: str, severity: Severity | None) -> None:
    found = look(cron=[cron(last_status=status)])
    assert [alert.severity for alert in found] == ([] if severity is None else [severity])
    assert look(cron=[cron(last_status=status, enabled=False)]) == []


def test_an_orphaned_cron_entry() -> None:
    alert = one(cron=[cron(orphaned=True, last_status="missed")])
    assert (alert.severity, alert.text) == (WARNING, "gone from the configuration, never fires")


# -- clock and Redis


def test_two_clocks() -> None:
    assert look(skew_ms=5_000.0) == []
    assert look(skew_ms=-5_000.0) == []
    assert one(skew_ms=5_000.5).severity is WARNING
    assert one(skew_ms=6_200.0).text == "this machine is 6s behind the server"
    assert one(skew_ms=-65_000.0).text == "this machine is 1m05s ahead of the server"


def test_redis_memory() -> None:
    assert look(redis=redis(used_memory_bytes=850)) == []
    assert look(redis=redis(used_memory_bytes=9_000, maxmemory_bytes=0)) == []
    assert one(redis=redis(used_memory_bytes=851)).text == "memory 851 B of 1000 B, 85%"


def test_evicted_keys() -> None:
    watch = Watch(settings())
    assert look(watch, redis=redis(evicted_keys=7)) == []
    (alert,) = look(watch, now=NOW + 5, redis=redis(evicted_keys=10))
    assert (alert.severity, alert.text) == (ERROR, "3 keys evicted in 5 min: jobs are lost")
    assert look(watch, now=NOW + 304, redis=redis(evicted_keys=10)) != []
    assert look(watch, now=NOW + 305, redis=redis(evicted_keys=10)) == []
    assert look(watch, now=NOW + 306, redis=redis(evicted_keys=0)) == []


# -- order and memory


def test_errors_first_then_rules_then_names() -> None:
    queues = [queue(name, ready=1, pools=()) for name in ("q10", "q9")] + [queue("a", ready=1, paused=True)]
    found = look(queues=queues, servers=[server()], cron=[cron(last_status="error")], skew_ms=9_000.0)
    assert [alert.subject for alert in found] == ["q9", "q10", "nightly", "a", "clock"]


def test_a_reply_seen_twice_and_a_clock_set_back_change_nothing() -> None:
    watch = Watch(settings())
    for now, dead in ((NOW, 0), (NOW, 90), (NOW - 3_600, 500), (NOW - 3_599, 505)):
        assert look(watch, now=now, queues=[queue(dead_letter=dead)]) == []


def test_history_stays_small() -> None:
    history = History()
    for second in range(2_000):
        history.note_queues(NOW + second, [queue(dead_letter=second)])
    assert history.buried("billing") == pytest.approx(300, abs=5)
    assert len(history._queues["billing"].samples) <= 63
    history.note_queues(NOW + 3_000, [])
    assert history.buried("billing") == 0
    assert history.grown("billing") is None


def test_hostile_names_reach_an_alert_unchanged_as_its_key() -> None:
    name = "\x1b]0;x\x07[/b]"
    alert = one(queues=[queue(name, ready=1, pools=())])
    assert alert.key == name


def test_an_alert_is_the_same_one_while_its_text_goes_on() -> None:
    facts: dict[str, Any] = {
        "queues": [
            queue("a", ready=1, oldest_age_ms=400_000, counts_truncated=True),
            queue("b", ready=1, paused=True),
            queue("c", ready=1, pools=()),
        ],
        "servers": [server("eu1", status="stale"), server("eu2", version="2.0.0", scheduler=False)],
        "workers": [worker("x@eu9", status="stale", abandoned=2)],
        "cron": [cron("n", next_run=1, last_status="error"), cron("o", orphaned=True)],
        "redis": redis(used_memory_bytes=999),
        "skew_ms": 9_000.0,
    }
    watch = Watch(settings())
    first, second = look(watch, **facts), look(watch, now=NOW + 9, **facts)
    assert len({alert.id for alert in first}) == len(first) == 14
    assert all(alert.rule for alert in first)
    assert [alert.id for alert in first] == [alert.id for alert in second]
    assert first != second


def test_walking_through_the_alerts() -> None:
    found = look(queues=[queue(name, ready=1, pools=()) for name in ("a", "b", "c")])
    first = following(found, None)
    assert first == found[0]
    assert following(found, found[0].id) == found[1]
    assert following(found, found[2].id) == found[0]
    assert following(found, "over:queues:z") == found[0]
    assert following([], None) is None
