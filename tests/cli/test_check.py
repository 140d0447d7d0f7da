"""``gqm check``: all problems at once, in text and in JSON."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Gqm

BAD = """\
redis:
  adr: localhost
pools:
  - name: a
    job_types: [mail]
    retry:
      backoff: exponental
    queues: [emial]
queues:
  - name: email
"""
PROBLEMS = """\
bad.yaml:2:3: redis.adr: unknown key (addr, db, exact_prefix, master, password, pool_size, prefix, \
sentinels, tls, url, username); did you mean "addr"?
bad.yaml:7:16: pools[0].retry.backoff: "exponental" is not allowed (fixed, exponential, custom); \
did you mean "exponential"?
bad.yaml:8:14: pools[0].queues[0]: queue "emial" is not declared under queues; did you mean "email"?
"""
CLEAN = "gqm.yaml: 0 pools, 0 queues, 0 cron entries, API off\n0 errors, 0 incomplete, 0 warnings\n"
MISSING = 'gqm: error: gqm.yaml not found; create one with "gqm init" or name it with --config\n'


@pytest.mark.fault(19)
@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_every_problem_is_listed_with_its_place(gqm: Gqm, place: str) -> None:
    gqm.write("bad.yaml", BAD)
    done = gqm("check", "bad.yaml") if place == "pipe" else gqm.terminal("check", "-c", "bad.yaml")
    assert (done.code, done.err) == (3, "")
    assert done.out == f"{PROBLEMS}3 errors, 0 incomplete, 0 warnings\n"


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_a_clean_file_is_summed_up(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "# nothing\n")
    done = gqm("check") if place == "pipe" else gqm.terminal("check")
    assert (done.code, done.out, done.err) == (0, CLEAN, "")


def test_the_same_file_named_twice_is_no_contradiction(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "")
    assert gqm("check", "gqm.yaml", "-c", "gqm.yaml").code == 0


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_a_missing_file_is_an_error_not_a_result(gqm: Gqm, place: str) -> None:
    done = gqm("check") if place == "pipe" else gqm.terminal("check", NO_COLOR="1")
    assert (done.code, done.out, done.err) == (3, "", MISSING)


def test_a_missing_file_in_json(gqm: Gqm) -> None:
    done = gqm("check", "--json")
    document = json.loads(done.out)
    assert (done.code, done.err) == (3, "")
    assert (document["ok"], document["errors"], document["problems"][0]["rule"]) == (False, 1, "R1")


def test_the_document_has_every_problem(gqm: Gqm) -> None:
    gqm.write("bad.yaml", BAD)
    done = gqm("check", "bad.yaml", "--json")
    document = json.loads(done.out)
    assert (done.code, done.err, done.out.count("\n")) == (3, "", 1)
    counts = {name: document[name] for name in ("ok", "errors", "incomplete", "warnings")}
    assert counts == {"ok": False, "errors": 3, "incomplete": 0, "warnings": 0}
    assert document["problems"][1] == {
        "level": "error",
        "rule": "R14",
        "file": "bad.yaml",
        "line": 7,
        "column": 16,
        "path": "pools[0].retry.backoff",
        "text": '"exponental" is not allowed (fixed, exponential, custom); did you mean "exponential"?',
    }


def test_secrets_still_to_be_filled_in_fail(gqm: Gqm) -> None:
    gqm.write(
        "gqm.yaml",
        "monitoring:\n  api:\n    enabled: true\n    addr: 127.0.0.1:0\n"
        "    api_keys:\n      - name: grafana\n        key: ''\n",
    )
    done = gqm("check")
    assert done.code == 3
    assert done.out == (
        'gqm.yaml:7:14: monitoring.api.api_keys[0].key: no key for "grafana" yet; '
        'run "gqm add-api-key grafana"\n'
        "0 errors, 1 incomplete, 0 warnings\n"
    )


@pytest.mark.parametrize(("options", "code", "ok"), [([], 0, True), (["--strict"], 3, False)])
def test_warnings_fail_only_when_asked(gqm: Gqm, options: list[str], code: int, ok: bool) -> None:
    gqm.write("gqm.yaml", "redis:\n  prefix: mine\n")
    done = gqm("check", *options)
    assert done.code == code
    assert done.out == (
        'gqm.yaml:2:11: redis.prefix: warning: prefix "mine" is used as "mine:"\n'
        "0 errors, 0 incomplete, 1 warning\n"
    )
    told = gqm("check", "--json", *options)
    assert (told.code, json.loads(told.out)["ok"]) == (code, ok)


def test_nothing_is_imported_unless_asked(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "app:\n  handlers: [boom]\n")
    gqm.write("boom.py", "raise SystemExit(9)\n")
    assert gqm.process("check").code == 0
    done = gqm.process("check", "--handlers")
    assert (done.code, done.err) == (3, "")
    assert done.out == (
        'gqm.yaml: app.handlers: handlers module "boom": SystemExit: 9 (boom.py:1)\n'
        "1 error, 0 incomplete, 0 warnings\n"
    )


def test_handlers_are_compared_with_the_pools(gqm: Gqm) -> None:
    gqm.write(
        "gqm.yaml",
        "app:\n  handlers: [jobs]\npools:\n  - name: fast\n    job_types: [mail, push]\n",
    )
    gqm.write(
        "jobs.py",
        "import gqm\n@gqm.handler('mail')\n@gqm.handler('other')\ndef mail(job):\n    pass\n",
    )
    done = gqm.process("check", "--handlers")
    assert done.code == 0
    assert done.out == (
        'gqm.yaml: app.handlers: warning: pool "fast" lists push, which has no handler: '
        "its jobs wait 1 h, then go to dead_letter\n"
        "gqm.yaml: app.handlers: warning: no pool runs other: add it to a pool's job_types, "
        'or a pool with ["*"]\n'
        "0 errors, 0 incomplete, 2 warnings\n"
    )
