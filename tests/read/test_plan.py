"""Plans: the same steps over the sync and the async store."""

from __future__ import annotations

import asyncio

import pytest

from gqm.errors import InvalidQuery
from gqm.store.aio import AsyncStore
from gqm.store.connect import Link
from gqm.store.plan import follow, follow_async
from gqm.store.read.jobs import list_jobs
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter
from gqm.store.read.views import JobPage
from tests.support.keyspace import Keyspace


def test_both_stores_give_the_same_answer(space: Keyspace, link: Link) -> None:
    made = [space.enqueue() for _ in range(3)]

    async def read() -> JobPage:
        store = AsyncStore(link)
        try:
            return await follow_async(store, list_jobs(space.keys, JobFilter(), Window()))
        finally:
            await store.close()

    page = asyncio.run(read())

    assert [job.id for job in page.items] == made[::-1]
    assert page.items == follow(space.store, list_jobs(space.keys, JobFilter(), Window())).items


def test_what_a_plan_raises_reaches_the_caller(space: Keyspace, link: Link) -> None:
    async def read() -> None:
        store = AsyncStore(link)
        try:
            await follow_async(store, list_jobs(space.keys, JobFilter(status=("no",)), Window()))
        finally:
            await store.close()

    with pytest.raises(InvalidQuery, match="no"):
        asyncio.run(read())
    with pytest.raises(InvalidQuery, match="no"):
        follow(space.store, list_jobs(space.keys, JobFilter(status=("no",)), Window()))
