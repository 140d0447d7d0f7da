"""Takes three orders through payment, stock and shipping; one card is declined, one service is busy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
STEPS = ("order.charge", "order.reserve", "order.ship", "order.close")


@dataclass
class Order:
    """Payload of every step."""

    number: int
    card: str
    cents: int


class Busy(Exception):
    """The payment service has too much to do; that is not the order's fault."""


def charged(job: gqm.Job) -> None:
    """Keep the books: called when a charge is stored as completed."""
    print(f"  books: order {job.payload['number']} paid {job.payload['cents']} cents")


def refused(job: gqm.Job, error: BaseException) -> None:
    """Keep the books: called after every failed attempt."""
    print(f"  books: order {job.payload['number']} not paid: {error}")


server = gqm.Server(REDIS)
server.pool("orders", ["*"], queues=["orders"], concurrency=4, retry={"backoff_base": "300ms"})


@server.handle(
    "order.charge",
    is_failure=lambda error: not isinstance(error, Busy),
    transient_max_age=60,
    on_success=charged,
    on_failure=refused,
)
def charge(job: gqm.Job) -> None:
    """Charge the card."""
    order = job.decode(Order)
    if order.card == "declined":
        raise gqm.SkipRetry("card declined")
    if order.card == "slow bank" and job.attempt <= 2:
        raise Busy("the bank answered 503")


@server.handle("order.reserve")
async def reserve(job: gqm.Job) -> dict[str, object]:
    """Take the goods from the stock."""
    return {"shelf": f"B{job.decode(Order).number % 10}"}


@server.handle("order.ship")
async def ship(job: gqm.Job) -> dict[str, object]:
    """Hand the parcel over."""
    return {"parcel": f"P-{job.decode(Order).number}"}


@server.handle("order.close")
async def close(job: gqm.Job) -> str:
    """Tell the customer. It runs whatever became of the steps before, and looks it up."""
    async with gqm.AsyncClient(REDIS) as client:
        shipping = await client.get(job.depends_on[0])
    shipped = shipping is not None and shipping.status == "completed"
    return "your parcel is on its way" if shipped else "your order was canceled"


def place(client: gqm.Client, order: dict[str, object]) -> str:
    """Enqueue the chain of an order; returns the id of its last job."""
    last = ""
    for step in STEPS:
        parents = [last] if last else []
        made = client.enqueue(
            step,
            order,
            queue="orders",
            max_retry=1,
            depends_on=parents,
            allow_failure=step == "order.close",
            meta={"order": order["number"]},
        )
        last = made.id
    return last


def produce() -> None:
    """Place the orders, and print what each customer is told."""
    with gqm.Client(REDIS) as client:
        orders: list[dict[str, object]] = [
            {"number": 1001, "card": "good", "cents": 4990},
            {"number": 1002, "card": "declined", "cents": 12900},
            {"number": 1003, "card": "slow bank", "cents": 1500},
        ]
        closing = [(order["number"], place(client, order)) for order in orders]
        for number, job_id in closing:
            print(f"order {number}: {client.wait(job_id, timeout=30)}")


async def main() -> None:
    """Run server and producer in one process, until all orders are closed."""
    await server.start()
    try:
        await asyncio.to_thread(produce)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
