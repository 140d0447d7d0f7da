"""What all commands on queues, jobs and schedules have in common: places, failures, exit codes."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Gqm
from tests.cli.operators import AWAY, OPERATIONS
from tests.support.keyspace import Keyspace

NOT_CONNECTED = (
    "gqm: error: cannot connect to Redis at 127.0.0.1:1: connection refused; "
    'is it running? see "gqm doctor"\n'
)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("line", ["queue list", "job cancel a1", "cron enable tidy"])
def test_redis_away(gqm: Gqm, line: str) -> None:
    gqm.write("gqm.yaml", AWAY)
    done = gqm(*line.split())
    assert (done.code, done.out, done.err) == (4, "", NOT_CONNECTED)
    told = gqm(*line.split(), "--json")
    assert (told.code, json.loads(told.out)["code"], told.err) == (4, "REDIS_UNAVAILABLE", NOT_CONNECTED)


@pytest.mark.parametrize("line", OPERATIONS)
def test_no_configuration(gqm: Gqm, line: str) -> None:
    done = gqm(*line.split())
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("gqm: error: gqm.yaml not found; ")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("queue pause", "NAME is missing; give it as the argument or as --name"),
        ("queue pause a --name b", "NAME is given twice: a and b"),
        ("queue list mail", 'unexpected argument mail; see "gqm queue list --help"'),
        ("queue pase mail", 'unknown command "pase"; did you mean "pause"?'),
        ("job frobnicate", 'unknown command "frobnicate"; "gqm job --help" lists the commands'),
        ("job show", "missing argument 'ID'; see \"gqm job show --help\""),
        ("job show a/b", "job id 'a/b' is not valid; allowed: letters, digits, . _ - and 1..256 characters"),
        ("job retry", "no job is named; give ids, or a filter such as --status dead_letter"),
        ("job retry a1 --status ready", "give ids or a filter, not both"),
        ("job retry a1 --limit 5", "give ids or a filter, not both"),
        ("job delete --queue mail --yes", "a filter needs --status, so that it says which jobs are meant"),
        ("job delete --status redy --yes", '--status "redy" is not a state; did you mean "ready"?'),
        ("cron trigger", "missing argument 'ID'; see \"gqm cron trigger --help\""),
    ],
)
def test_wrong_use(gqm: Gqm, space: Keyspace, line: str, text: str) -> None:
    done = gqm(*line.split())
    assert (done.code, done.out, done.err) == (2, "", f"gqm: error: {text}\n")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 257, "\udcff"])
def test_a_name_that_nothing_can_have(gqm: Gqm, space: Keyspace, name: str) -> None:
    for group, command in (("queue", "pause"), ("cron", "trigger")):
        done = gqm(group, command, name)
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(": 1 to 256 characters, no controls\n")


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    "line",
    ["queue empty default", *(f"job {action} --status ready" for action in ("retry", "cancel", "delete"))],
)
def test_what_has_to_be_confirmed_does_nothing_in_a_pipe(gqm: Gqm, space: Keyspace, line: str) -> None:
    space.enqueue()
    before = space.dump()
    done = gqm(*line.split(), stdin="y\n")
    assert (done.code, done.out) == (2, "")
    assert done.err == "gqm: error: there is no terminal to ask on; say --yes\n"
    assert space.dump() == before


@pytest.mark.parametrize("group", ["queue", "job", "cron", "dashboard"])
@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_a_group_shows_its_commands(gqm: Gqm, group: str, args: list[str]) -> None:
    done = gqm(group, *args)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: gqm {group} [OPTIONS] COMMAND ...\n")
    assert "\nCommands:\n" in done.out
