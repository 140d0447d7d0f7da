"""The audit log: entries are written once, kept in a bounded number, and found again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from gqm.errors import InvalidQuery, StoreError
from gqm.store.commands.audit import AuditEntry, append_audit
from gqm.store.plan import follow
from gqm.store.read.audit import AuditFilter, AuditView, list_audit
from gqm.store.read.views import Page
from tests.support.keyspace import Keyspace


def entry(**more: Any) -> AuditEntry:
    fields = {
        "actor": "ana",
        "role": "admin",
        "source": "session",
        "address": "192.0.2.7",
        "action": "job.retry",
    }
    return AuditEntry(**{**fields, "target": "j1", "request_id": "5b1e0c7d9a3f2e64", **more})


def write(space: Keyspace, **more: Any) -> str:
    return space.store.run(append_audit(space.keys, entry(**more)))


def page_of(
    space: Keyspace, wanted: AuditFilter | None = None, page: int = 1, limit: int = 20
) -> Page[AuditView]:
    return follow(space.store, list_audit(space.keys, wanted or AuditFilter(), page, limit))


def test_an_entry_is_read_as_it_was_written(space: Keyspace) -> None:
    entry_id = write(space, before="dead_letter", after="ready")

    page = page_of(space)

    assert page.items == [
        AuditView(
            id=entry_id,
            ts=int(entry_id.split("-")[0]) / 1000,
            actor="ana",
            role="admin",
            source="session",
            address="192.0.2.7",
            action="job.retry",
            target="j1",
            count=1,
            before="dead_letter",
            after="ready",
            ok=True,
            code=None,
            request_id="5b1e0c7d9a3f2e64",
        )
    ]
    assert page.items[0].ts == pytest.approx(space.now(), abs=2)
    assert (page.total, page.scanned) == (1, UNSET)


def test_a_lost_answer_makes_no_second_entry(space: Keyspace) -> None:
    command = append_audit(space.keys, entry())
    first = space.store.run(command)
    assert command.again is not None

    again = command.read(space.store.send(command._replace(words=command.again)))

    assert again == first
    assert space.raw.xlen(space.keys.audit) == 1
    other = append_audit(space.keys, entry(target="j2"))
    assert other.again is not None
    space.store.send(other._replace(words=other.again))
    assert space.raw.xlen(space.keys.audit) == 2, "sent again, but its first send never arrived"


def test_filters_and_pages(space: Keyspace) -> None:
    for n in range(5):
        write(space, target=f"j{n}", actor="ana" if n % 2 else "ben")
    write(space, action="queue.pause", target="mail", ok=False, code="NOT_FOUND", count=0)

    def found(**wanted: Any) -> list[str]:
        page = page_of(space, AuditFilter(**wanted))
        assert page.total == len(page.items)
        return [item.target for item in page.items]

    assert found() == ["mail", "j4", "j3", "j2", "j1", "j0"]
    assert found(actor="ben") == ["j4", "j2", "j0"]
    assert found(action="job.retry") == ["j4", "j3", "j2", "j1", "j0"]
    assert found(action="queue.*") == ["mail"]
    assert found(target="j3") == ["j3"]
    assert found(ok=False) == ["mail"]
    assert found(until=space.now() - 100) == []
    assert len(found(since=space.now() - 100, until=space.now() + 100)) == 6
    second = page_of(space, page=2, limit=4)
    assert [item.target for item in second.items] == ["j1", "j0"]
    assert (second.total, page_of(space, page=3, limit=4).items) == (6, [])
    refused = page_of(space, AuditFilter(ok=False)).items[0]
    assert (refused.ok, refused.code, refused.count) == (False, "NOT_FOUND", 0)


def test_the_log_keeps_about_ten_thousand_entries(space: Keyspace) -> None:
    pipe = space.raw.pipeline(transaction=False)
    for n in range(12_000):
        pipe.xadd(space.keys.audit, {"action": "old", "target": f"t{n}"})
    pipe.execute()

    write(space, target="newest")

    assert 10_000 <= space.raw.xlen(space.keys.audit) < 10_300
    page = page_of(space, AuditFilter(action="old"), page=101, limit=100)
    assert page.total == space.raw.xlen(space.keys.audit) - 1
    assert page.truncated is False


@pytest.mark.parametrize(("page", "limit"), [(0, 20), (1, 0), (1, 101)])
def test_pages_out_of_range(space: Keyspace, page: int, limit: int) -> None:
    with pytest.raises(InvalidQuery, match="limit"):
        page_of(space, page=page, limit=limit)


def test_any_text_can_be_written(space: Keyspace) -> None:
    write(space, target="\udcff" + "x" * 5000, actor="a\nb")

    (item,) = page_of(space).items

    assert item.target == "?" + "x" * 1023
    assert item.actor == "a\nb"


def test_a_log_of_a_wrong_type_is_an_error(space: Keyspace) -> None:
    space.raw.set(space.keys.audit, "text")

    with pytest.raises(StoreError):
        write(space)
