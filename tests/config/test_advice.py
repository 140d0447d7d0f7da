"""Incomplete items and warnings: when they are said, when not, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gqm.config import Config, load_config
from tests.config.helpers import HASH, KEY, KEY_HASH, cases, found, lines, load

POOL = "pools:\n  - name: a\n    job_types: [x]\n"
CRON = "scheduler: {cron_entries: [{id: c, job_type: report, cron_expr: '@daily'}]}"
EMPTY_USER = "users: [{username: ana, password_hash: ''}]"

ADVICE = cases("advice.txt")


@pytest.mark.parametrize(("rule", "text", "expected"), ADVICE)
def test_advice_is_given_at_its_place(rule: str, text: str, expected: list[str]) -> None:
    assert lines(text) == expected
    assert rule in {item.rule for item in found(text)}


def test_all_advice_has_a_case() -> None:
    elsewhere = {"W13"}
    assert {rule for rule, *_ in ADVICE} | elsewhere == {"N1", "N2"} | {f"W{n}" for n in range(1, 15)}


NO_ADVICE = [
    "redis: {addr: 'redis.internal:6379', password: secret}",
    "redis: {url: 'redis://:secret@redis.internal'}",
    "redis: {url: 'redis://127.0.0.1'}",
    "redis: {url: 'rediss://:secret@h?ssl_cert_reqs=required'}",
    "redis: {prefix: gqm, exact_prefix: true}",
    "redis: {prefix: 'jobs:'}",
    f"queues: [{{name: a, priority: 1}}, {{name: b}}]\n{POOL}",
    "queues: [{name: a}]",
    f"{POOL}    grace_period: 30",
    f"{POOL}  - {{name: b, job_types: ['*']}}\n{CRON}",
    f"app: {{grace_period: 40, shutdown_timeout: 50}}\n{POOL}    concurrency: 2",
    f"monitoring: {{auth: {{{EMPTY_USER}}}}}",
    f"monitoring: {{api: {{enabled: true, api_keys: [{{name: ci, key_hash: '{KEY_HASH}'}}]}}}}",
]


@pytest.mark.parametrize("text", NO_ADVICE)
def test_no_advice_without_a_reason(text: str) -> None:
    assert lines(text) == []


def test_a_key_from_the_environment_is_not_in_clear_text() -> None:
    text = "monitoring: {api: {api_keys: [{name: ci, key: '${CI_KEY}'}]}}"
    assert lines(text, env={"CI_KEY": KEY}) == []


def test_queues_are_not_called_unread_while_pools_have_errors() -> None:
    text = f"queues: [{{name: slow}}]\n{POOL}    queues: [slwo]"
    assert [item.rule for item in found(text)] == ["R35"]
    assert [item.rule for item in found(f"{text}\n    qeues: [slow]")] == ["R35", "R7"]


def test_incomplete_items_do_not_raise_and_block_only_the_api() -> None:
    text = f"monitoring: {{api: {{enabled: true}}, auth: {{enabled: true, {EMPTY_USER}}}}}"
    config = load(text)
    assert [item.rule for item in config.incomplete] == ["N1"]
    assert config.warnings == ()
    without_api = load(text, overrides={"monitoring.api.enabled": False})
    assert without_api.incomplete == ()
    assert [item.rule for item in without_api.warnings] == ["W9", "W8"]


def test_commands_name_a_file_that_is_not_the_usual_one() -> None:
    text = f"monitoring: {{api: {{enabled: true}}, auth: {{enabled: true, {EMPTY_USER}}}}}"
    assert lines(text, file="prod/my app.yaml") == [
        '1:97: monitoring.auth.users[0].password_hash: no password for "ana" yet; '
        "run \"gqm set-password ana -c 'prod/my app.yaml'\""
    ]


def test_the_prefix_warning_is_for_the_check_only() -> None:
    config = load("redis: {prefix: gqm}\nmonitoring: {api: {trust_proxy: true}}")
    assert [item.rule for item in config.warnings] == ["W12", "W2"]
    assert [item.rule for item in config.startup_warnings] == ["W2"]


def _written(folder: Path, text: str, mode: int) -> Config:
    file = folder / "gqm.yaml"
    file.write_text(text)
    file.chmod(mode)
    return load_config(file, env={"PASSWORD": "secret"})


def test_secrets_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    users = f"users: [{{username: a, password_hash: '{HASH}'}}]"
    text = f"monitoring: {{auth: {{{users}}}}}\nredis:\n  addr: localhost:1\n"
    (problem,) = _written(tmp_path, text, 0o644).warnings
    assert str(problem) == (
        f"{tmp_path}/gqm.yaml:1:58: monitoring.auth.users[0].password_hash: warning: "
        "others can read this file (mode 0644) and it holds secrets; make it 0600"
    )
    assert [item.rule for item in _written(tmp_path, text, 0o640).warnings] == ["W13"]
    assert _written(tmp_path, text, 0o600).warnings == ()
    assert _written(tmp_path, f"{text}  password: ${{PASSWORD}}\n", 0o600).warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "redis: {addr: 'localhost:1', password: '${PASSWORD}'}",
        "redis: {url: 'redis://localhost'}",
        "monitoring: {auth: {users: [{username: a, password_hash: ''}]}}",
    ],
)
def test_a_file_without_secrets_may_be_readable(tmp_path: Path, text: str) -> None:
    assert _written(tmp_path, text, 0o644).warnings == ()


@pytest.mark.parametrize(
    "text", ["redis: {url: 'redis://:pw@localhost'}", "redis: {addr: 'localhost:1', password: pw}"]
)
def test_redis_passwords_are_secrets_too(tmp_path: Path, text: str) -> None:
    assert [item.rule for item in _written(tmp_path, text, 0o604).warnings] == ["W13"]
