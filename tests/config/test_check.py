"""The sample of the README, and what ``gqm check`` says about it and about a bad file."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from gqm.config import CheckReport, check_report, load_config, parse_config
from gqm.errors import ConfigError
from tests.config.helpers import HASH, KEY_HASH, SAMPLE, found, load

N1 = 'no password for "admin" yet; run "gqm set-password admin"'
N2 = 'no key for "grafana" yet; run "gqm add-api-key grafana"'


def _check(text: str, file: str = "gqm.yaml") -> CheckReport:
    try:
        return check_report(parse_config(text, file=file, env={}))
    except ConfigError as error:
        return check_report(error)


def test_the_sample_lacks_two_secrets_and_has_an_old_prefix() -> None:
    report = _check(SAMPLE.read_text())
    assert report.lines == (
        'gqm.yaml:6:11: redis.prefix: warning: prefix "gqm" is used as "gqm:"',
        f"gqm.yaml:59:24: monitoring.auth.users[0].password_hash: {N1}",
        f"gqm.yaml:66:14: monitoring.api.api_keys[0].key: {N2}",
        "0 errors, 2 incomplete, 1 warning",
    )
    assert not report.counts.ok


def test_the_sample_is_taken_as_printed() -> None:
    config = load(SAMPLE.read_text())
    assert (config.redis.addr, config.redis.password, config.redis.db) == ("localhost:6379", "", 0)
    assert config.redis.prefix == "gqm:"
    app = config.app
    assert (app.timezone, app.log_level, app.shutdown_timeout_s) == ("Asia/Jakarta", "info", 30)
    assert (app.global_job_timeout_s, app.grace_period_s) == (1800, 10)
    assert [(queue.name, queue.priority) for queue in config.queues] == [
        ("critical", 10),
        ("default", 1),
        ("low", 0),
    ]
    fast, background = config.pools
    assert (fast.name, fast.job_types) == ("fast", ("email.send", "notification.push"))
    assert (fast.queues, fast.concurrency, fast.job_timeout_s) == (("critical", "default"), 10, 60)
    assert fast.dequeue_strategy == "weighted"
    policy = fast.retry.policy()
    assert (policy.max_retry, policy.backoff, policy.base_s, policy.max_s) == (5, "exponential", 10, 3600)
    assert (background.job_types, background.queues, background.concurrency) == (
        ("*",),
        ("default", "low"),
        3,
    )
    assert (config.scheduler.enabled, config.scheduler.poll_interval_s) == (True, 5)
    (entry,) = config.scheduler.cron_entries
    assert (entry.id, entry.name, entry.cron_expr) == ("cleanup-daily", "Daily cleanup", "0 0 2 * * *")
    assert (entry.timezone, entry.job_type, entry.queue) == ("UTC", "cleanup", "default")
    assert entry.overlap_policy == "skip"
    auth, api, dashboard = config.monitoring.auth, config.monitoring.api, config.monitoring.dashboard
    assert (auth.enabled, auth.session_ttl_s) == (True, 86_400)
    assert [(user.username, user.password_hash, user.role) for user in auth.users] == [("admin", "", "admin")]
    assert (api.enabled, api.addr) == (True, ":8080")
    assert [(key.name, key.key, key.role) for key in api.api_keys] == [("grafana", "", "viewer")]
    assert (dashboard.enabled, dashboard.path_prefix, dashboard.custom_dir) == (True, "/dashboard", "")


def test_the_sample_is_fine_once_its_secrets_are_filled_in() -> None:
    text = SAMPLE.read_text()
    text = text.replace('password_hash: ""', f'password_hash: "{HASH}"')
    text = text.replace('key: "" ', f'key_hash: "{KEY_HASH}" ')
    report = _check(text)
    assert report.lines[-1] == "0 errors, 0 incomplete, 1 warning"
    assert report.counts.ok


def test_a_bad_file_has_all_its_mistakes_named() -> None:
    report = _check(SAMPLE.with_name("bad.yaml").read_text(), "bad.yaml")
    assert report.lines == (
        "bad.yaml:4:3: redis.adr: unknown key (addr, db, exact_prefix, master, password, pool_size, prefix, "
        'sentinels, tls, url, username); did you mean "addr"?',
        'bad.yaml:12:18: pools[0].concurrency: expected int, got text ("ten")',
        'bad.yaml:13:23: pools[0].dequeue_strategy: "weigthed" is not allowed '
        '(strict, round_robin, weighted); did you mean "weighted"?',
        'bad.yaml:15:14: pools[0].queues[1]: queue "critcal" is not declared under queues; '
        'did you mean "critical"?',
        "bad.yaml:22:18: scheduler.cron_entries[0].cron_expr: this expression never fires",
        "5 errors, 0 incomplete, 0 warnings",
    )


def test_a_clean_file_is_summed_up() -> None:
    text = "pools: [{name: a, job_types: ['*']}]\nmonitoring: {api: {enabled: true, addr: '127.0.0.1:8080'}}"
    assert _check(text).lines == (
        "gqm.yaml: 1 pool, 0 queues, 0 cron entries, API 127.0.0.1:8080",
        "0 errors, 0 incomplete, 0 warnings",
    )
    entry = "{id: a, job_type: x, cron_expr: '@daily'}"
    text = f"queues: [{{name: a}}, {{name: b}}]\nscheduler: {{cron_entries: [{entry}]}}"
    assert _check(text).lines[0] == "gqm.yaml: 0 pools, 2 queues, 1 cron entry, API off"


def test_the_json_form_has_rule_and_level() -> None:
    report = _check(
        "pools:\n  - name: a\n    job_types: [x]\n    retry: {backoff: expo}\nredis: {prefix: gqm}"
    )
    assert report.counts.as_json() == {
        "ok": False,
        "errors": 1,
        "incomplete": 0,
        "warnings": 1,
        "problems": [
            {
                "level": "error",
                "rule": "R14",
                "file": "gqm.yaml",
                "line": 4,
                "column": 22,
                "path": "pools[0].retry.backoff",
                "text": '"expo" is not allowed (fixed, exponential, custom)',
            },
            {
                "level": "warning",
                "rule": "W12",
                "file": "gqm.yaml",
                "line": 5,
                "column": 17,
                "path": "redis.prefix",
                "text": 'prefix "gqm" is used as "gqm:"',
            },
        ],
    }
    assert msgspec.json.decode(msgspec.json.encode(report.counts.as_json())) == report.counts.as_json()


def test_a_missing_file_has_no_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "none.yaml")
    report = check_report(caught.value)
    (problem,) = report.counts.problems
    assert (problem.rule, problem.line, problem.column, problem.path) == ("R1", None, None, "")
    assert report.lines == (str(caught.value), "1 error, 0 incomplete, 0 warnings")


def test_a_hundred_problems_are_listed_and_all_are_counted() -> None:
    report = _check("".join(f"key{n}: 1\n" for n in range(120)))
    assert len(report.lines) == 101
    assert report.lines[99].startswith("gqm.yaml:100:1: key99: ")
    assert report.lines[100] == "120 errors, 0 incomplete, 0 warnings"
    assert report.counts.errors == 120
    document = report.counts.as_json()
    assert (document["errors"], len(report.counts.problems)) == (120, 120)
    assert isinstance(document["problems"], list)
    assert len(document["problems"]) == 100


def test_the_error_text_has_the_errors_only() -> None:
    with pytest.raises(ConfigError) as caught:
        load("redis: {prefix: gqm}\napp: {processes: x, log_level: y}")
    assert str(caught.value).splitlines() == [
        'gqm.yaml:2:18: app.processes: expected int, got text ("x")',
        'gqm.yaml:2:32: app.log_level: "y" is not allowed (debug, info, warn, error)',
    ]
    assert [problem.rule for problem in caught.value.problems] == ["W12", "R9", "R14"]  # type: ignore[attr-defined]


def test_loading_takes_a_few_milliseconds() -> None:
    text = SAMPLE.read_text()
    load(text)
    fastest = min(_seconds(text) for _ in range(5))
    assert fastest < 0.05


def _seconds(text: str) -> float:
    start = time.perf_counter()
    load(text)
    return time.perf_counter() - start


def test_a_large_file_does_not_take_long() -> None:
    pools = "".join(f"  - {{name: p{n}, job_types: [t{n}, t{n}], queues: [nope{n}]}}\n" for n in range(900))
    start = time.perf_counter()
    assert len(found(f"queues: [{{name: a}}]\npools:\n{pools}")) == 1800
    assert time.perf_counter() - start < 5
