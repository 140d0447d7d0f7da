"""Every rule: the text that breaks it, and the exact line that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gqm.config import load_config, parse_config
from gqm.errors import ConfigError
from tests.config.helpers import HASH, KEY, KEY_HASH, cases, found, lines

POOL = "pools:\n  - name: a\n    job_types: [x]\n"
CRON = "scheduler:\n  cron_entries:\n    - id: c\n      job_type: x\n      cron_expr: '@daily'\n"

BROKEN = cases("broken.txt")


@pytest.mark.parametrize(("rule", "text", "expected"), BROKEN)
def test_a_broken_rule_is_said_with_its_place(rule: str, text: str, expected: list[str]) -> None:
    problems = [item for item in found(text) if item.level == "error"]
    assert [str(item).removeprefix("gqm.yaml:") for item in problems] == expected
    assert rule in {item.rule for item in problems}


def test_a_very_long_cron_expression_is_not_even_looked_at() -> None:
    entry = {"id": "a", "job_type": "x", "cron_expr": f"{'1,' * 600}1 * * * *"}
    assert lines("", overrides={"scheduler.cron_entries": [entry]}) == [
        "code: scheduler.cron_entries[0].cron_expr: not a cron expression: longer than 1000 characters; "
        'write 6 fields "sec min hour dom month dow" or 5 without sec'
    ]


def test_every_rule_has_a_case() -> None:
    elsewhere = {"R1", "R2"}
    assert {rule for rule, *_ in BROKEN} | elsewhere == {f"R{n}" for n in range(1, 58)}


FINE = [
    "",
    "# nothing but a comment\n",
    "null",
    "\ufeffapp: {processes: 2}",
    "redis:\napp: ~\npools: null\nqueues:\nscheduler:\nmonitoring:\n",
    "redis: {addr: '[::1]:6379', prefix: '{gqm}:'}",
    "redis: {addr: 'unix:/run/redis.sock'}",
    "redis: {addr: 'embedded://data/redis'}",
    "redis: {addr: 'embedded:6379', password: it-is-a-host}",
    "redis: {url: 'rediss://user:p%40ss@localhost:6380/2?protocol=3'}",
    "redis: {url: 'unix:///run/redis.sock?db=1'}",
    "redis: {sentinels: ['localhost:26379', '127.0.0.1:26380'], master: mymaster, db: 3}",
    "redis: {db: 0, tls: false, username: '', password: ''}",
    "app: {log_level: WARN, result_ttl: -1, failure_ttl: 0, shutdown_timeout: 0, grace_period: 0}",
    "app: {global_job_timeout: 500ms, processes: 1_0, lease_ttl: 5m, unknown_type_ttl: 30d}",
    "app: {handlers: [jobs, my_app.jobs.mail]}",
    f"{POOL}    retry: {{backoff: custom, intervals: [0, 10s, 1.5h], jitter: 1}}",
    f"{POOL}    retry: {{backoff_base: 2d}}",
    f"{POOL}    concurrency: 0\n    job_timeout: 365d\n    retry: {{jitter: 0.25, max_retry: 0}}",
    "queues: [{name: a:b.c_d-1, priority: -1000}]",
    f"{CRON}      payload: {{a: [1, 2.5, true, null, text]}}\n      max_retry: 0\n      timeout: 1m",
    f"{CRON}      payload: '{{\"a\": 1}}'\n      timezone: America/New_York\n      enabled: off",
    "monitoring: {api: {enabled: true, addr: 'localhost:8080'}}",
    "monitoring: {api: {enabled: true, addr: '[::1]:0', rate_limit: -1}}",
    "monitoring: {api: {enabled: false, addr: ':8080'}}",
    "monitoring: {api: {trust_proxy: on, trusted_proxies: [10.0.0.0/8, 192.0.2.1, '2001:db8::/32']}}",
    f"monitoring: {{api: {{enabled: true, api_keys: [{{name: ci, key_hash: '{KEY_HASH}'}}]}}}}",
    f"monitoring: {{auth: {{users: [{{username: a.b@c-d_e, password_hash: '{HASH}'}}]}}}}",
    "monitoring: {dashboard: {path_prefix: /ops/~gqm}}",
    "monitoring: {dashboard: {path_prefix: /apis}}",
]


@pytest.mark.parametrize("text", FINE)
def test_what_is_allowed_gives_no_problem(text: str) -> None:
    assert lines(text) == []


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "gqm.yaml")
    line = f'gqm: error: {tmp_path}/gqm.yaml not found; create one with "gqm init" or name it with --config'
    assert str(caught.value) == line
    assert [(item.rule, item.line, str(item)) for item in caught.value.problems] == [("R1", None, line)]


def test_an_unreadable_file_gives_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value) == f"gqm: error: cannot read {tmp_path}: Is a directory"


def test_a_file_that_is_no_utf8_names_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "gqm.yaml"
    file.write_bytes("app:\n  é: ".encode() + b"\xff\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == f"{file}:2:6: not UTF-8 text"
    assert caught.value.problems[0].rule == "R2"


def test_a_lone_surrogate_is_no_utf8() -> None:
    assert lines("app: '\ud800'") == ["1:7: not UTF-8 text"]


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "gqm.yaml"
    file.write_bytes(b"#" * 1_048_577)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == f"{file}:1:1: larger than 1 MiB"
    file.write_bytes(b"#" * 1_048_576)
    assert load_config(file).pools == ()


def test_ten_thousand_nodes_are_the_limit() -> None:
    names = ", ".join(f"m{n}" for n in range(9_995))  # and the root, "app", its mapping, "handlers", the list
    assert len(parse_config(f"app: {{handlers: [{names}]}}", env={}).app.handlers) == 9_995
    assert lines(f"app: {{handlers: [{names}, more]}}")[0].endswith(": larger than 10000 nodes")


def test_aliases_count_as_what_they_stand_for() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdef", "abcde", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    assert lines(bomb) == ["4:36: larger than 10000 nodes"]


@pytest.mark.parametrize("text", ["[" * 5_000, "{a: " * 5_000, "".join(f"{' ' * n}a:\n" for n in range(900))])
def test_deep_nesting_is_refused(text: str) -> None:
    assert [item.rule for item in found(text)] == ["R2"]
    assert lines(text)[0].endswith(": larger than 128 levels")


def test_broken_syntax_is_the_only_problem() -> None:
    assert [item.rule for item in found("app: {processes: x}\napp: [\n")] == ["R3"]


def test_all_problems_come_at_once_and_in_file_order() -> None:
    text = (
        "scheduler: {poll_interval: 0}\nredsi: 1\napp: {processes: x, processes: y, timezone: '${TZ_NONE}'}\n"
    )
    assert [item.rule for item in found(text)] == ["R13", "R7", "R9", "R6", "R10"]


def test_a_custom_dashboard_needs_an_index(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = "monitoring: {dashboard: {custom_dir: mine}}"
    file = str(tmp_path / "gqm.yaml")
    assert lines(text, file=file) == ["1:38: monitoring.dashboard.custom_dir: no index.html in mine"]
    (tmp_path / "mine" / "index.html").write_text("<!doctype html>")
    assert parse_config(text, file=file, env={}).monitoring.dashboard.custom_dir == str(tmp_path / "mine")


def test_tls_files_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    text = "redis: {addr: 'localhost:1', tls: {cert: c.pem, key: k.pem}}"
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("x")
    tls = parse_config(text, file=str(tmp_path / "gqm.yaml"), env={}).redis.tls
    assert (tls.enabled, tls.cert, tls.key) == (True, str(tmp_path / "c.pem"), str(tmp_path / "k.pem"))


def test_a_pasted_private_key_is_not_repeated() -> None:
    text = "redis: {addr: 'localhost:1', tls: {cert: c.pem, key: '-----BEGIN PRIVATE KEY----- abc'}}"
    assert lines(text)[-1] == "1:54: redis.tls.key: cannot read ***"


def test_a_large_payload_is_refused() -> None:
    overrides = {
        "scheduler.cron_entries": [
            {"id": "a", "job_type": "x", "cron_expr": "@daily", "payload": {"text": "x" * 1_048_576}}
        ]
    }
    assert lines("", overrides=overrides) == ["code: scheduler.cron_entries[0].payload: larger than 1 MiB"]


def test_a_bad_name_is_no_reason_to_call_a_queue_undeclared() -> None:
    text = f"queues: [{{name: 'a b'}}]\n{POOL}    queues: [c]"
    assert [item.rule for item in found(text)] == ["R27"]


def test_the_same_key_in_clear_text_and_as_hash_is_found() -> None:
    from hashlib import sha256

    digest = sha256(KEY.encode()).hexdigest()
    keys = f"[{{name: a, key: {KEY}}}, {{name: b, key_hash: 'sha256:{digest}'}}]"
    text = f"monitoring: {{api: {{api_keys: {keys}}}}}"
    assert [str(item) for item in found(text) if item.level == "error"] == [
        'gqm.yaml:1:124: monitoring.api.api_keys[1].key_hash: same key as "a"'
    ]
