"""``gqm doctor --ledger`` and ``--fix``: what is told, what is asked, and what is repaired."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

import gqm.admin.ledger
from gqm.admin.ledger import examine
from gqm.store.read.faults import FAULTS
from tests.cli.helpers import Gqm
from tests.cli.operators import audit
from tests.support.corruptions import CORRUPTIONS, Corruption
from tests.support.keyspace import Keyspace


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once: nobody else works on the test's key space."""
    monkeypatch.setattr(gqm.admin.ledger, "examine", functools.partial(examine, settle_s=0))


def ledger_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[2:8] == "ledger"]


def test_a_sound_key_space(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue()
    space.enqueue(queue="mail")
    done = gqm("doctor", "--ledger")
    assert done.code == 0
    assert ledger_lines(done.out) == [
        "✓ ledger   2 jobs in 2 queues: places, states, links, claims and counters agree"
    ]


def test_the_ledger_is_only_read_when_it_is_asked_for(gqm: Gqm, space: Keyspace) -> None:
    CORRUPTIONS["twice in ready"].seed(space)
    done = gqm("doctor")
    assert (done.code, ledger_lines(done.out)) == (0, [])


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_each_corruption_is_told(gqm: Gqm, space: Keyspace, corruption: Corruption) -> None:
    subject = corruption.seed(space)
    done = gqm("doctor", "--ledger", "--json")
    checks = [check for check in json.loads(done.out)["checks"] if check["id"].startswith("ledger.")]
    fault = FAULTS[corruption.kind]
    (check,) = checks
    assert check["id"] == f"ledger.{corruption.kind}"
    assert check["status"] == ("fail" if fault.grave else "warn")
    assert check["detail"].startswith(f"{fault.text} (1): {subject}")
    assert check["fix"] == (f"--fix would {fault.advice}" if corruption.repaired else fault.advice)


def test_five_names_and_a_number(gqm: Gqm, space: Keyspace) -> None:
    for n in range(1234):
        space.raw.lpush(space.keys.ready("default"), f"ghost-{n:04d}")
    space.raw.sadd(space.keys.queues, "default")
    done = gqm("doctor", "--ledger")
    assert done.code == 1
    (line,) = ledger_lines(done.out)
    names = ", ".join(f"ghost-{n:04d} (queue:default:ready)" for n in range(5))
    found = f"{FAULTS['no_hash'].text} (1,234): {names} and 1,229 more"
    assert line == f"✗ ledger   {found}: --fix would take the id out"


def test_ids_cannot_act_on_the_terminal(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue()
    space.raw.lpush(space.keys.ready("default"), "x\x1b]0;y\x07")
    out = gqm("doctor", "--ledger").out
    assert "\x1b" not in out
    assert "x\\x1b]0;y\\x07" in out


# ---------------------------------------------------------------------------------------- repairs


def test_a_repair(gqm: Gqm, space: Keyspace) -> None:
    CORRUPTIONS["twice in ready"].seed(space)
    CORRUPTIONS["live job with expiry"].seed(space)
    (gqm.folder / "gqm.yaml").chmod(0o600)

    done = gqm("doctor", "--fix", "--yes")

    assert done.code == 0
    assert done.err.splitlines() == [
        f"would repair {FAULTS[kind].text} (1): {FAULTS[kind].advice}" for kind in ("twice_ready", "live_ttl")
    ]
    lines = done.out.splitlines()
    assert len(ledger_lines(done.out)) == 3, "two findings, and that they are gone"
    assert lines[-4:-2] == [f"repaired 1 of 1: {FAULTS[kind].text}" for kind in ("live_ttl", "twice_ready")]
    assert lines[-2].startswith("✓ ledger   3 jobs in 1 queue")
    assert lines[-1] == "0 problems, 2 warnings"
    assert audit(space) == [
        ("ledger.repair", "live_ttl", 1, "", "", None),
        ("ledger.repair", "twice_ready", 1, "", "", None),
    ]
    assert gqm("doctor", "--ledger").out.splitlines()[-2].startswith("✓ ledger")
    space.assert_sound()


def test_the_document_of_a_repair(gqm: Gqm, space: Keyspace) -> None:
    CORRUPTIONS["ready in no list"].seed(space)
    done = gqm("doctor", "--fix", "--yes", "--json")
    document = json.loads(done.out)
    assert done.code == 0
    assert document["ok"] is True
    assert document["repaired"] == [{"kind": "nowhere", "found": 1, "changed": 1}]
    assert [check["id"] for check in document["checks"] if "ledger" in check["id"]] == ["ledger.all"]


def test_nothing_to_repair(gqm: Gqm, space: Keyspace) -> None:
    CORRUPTIONS["state that is none"].seed(space)
    done = gqm("doctor", "--fix", "--yes")
    assert (done.code, done.err) == (1, "nothing to repair\n")
    assert audit(space) == []


def test_what_cannot_be_repaired_stays(gqm: Gqm, space: Keyspace) -> None:
    CORRUPTIONS["state that is none"].seed(space)
    CORRUPTIONS["record without state"].seed(space)
    done = gqm("doctor", "--fix", "--yes")
    assert done.code == 1
    assert done.out.splitlines()[-2].startswith("✗ ledger   jobs in a state that is none (1): ")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_somebody_is_asked(gqm: Gqm, space: Keyspace, answer: str, code: int) -> None:
    CORRUPTIONS["twice in ready"].seed(space)
    before = space.ready()

    done = gqm.terminal("doctor", "--fix", answers=[answer], NO_COLOR="1")

    assert done.code == code
    assert "would repair jobs more than once in their ready list (1): keep the copy" in done.err
    assert "Repair this? [y/N]" in done.err
    if code:
        assert space.ready() == before
        assert audit(space) == []
        assert "not confirmed; nothing was changed" in done.err
    else:
        assert "repaired 1 of 1" in done.out


def test_without_redis_nothing_is_repaired(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "redis:\n  addr: 127.0.0.1:1\n")
    done = gqm("doctor", "--fix", "--yes", "--json")
    assert done.code == 4
    assert json.loads(done.out)["repaired"] == []


def test_the_docs_tell_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
    for kind, fault in FAULTS.items():
        row = f"| `{kind}` | {'✗' if fault.grave else '!'} | {fault.text} | {fault.advice} |"
        assert row in text
