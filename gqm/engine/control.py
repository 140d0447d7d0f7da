"""The control channel: hints from other processes. A lost message costs time only."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from gqm.engine.outage import Outage
from gqm.errors import GQMError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.store.aio import AsyncStore

log = logging.getLogger("gqm.engine")


class Message(msgspec.Struct):
    """One message of the channel; fields that an operation does not use are empty."""

    op: str
    id: str = ""
    claim: str = ""
    sid: str = ""
    queue: str = ""
    at: float = 0.0


_decode = msgspec.json.Decoder(Message).decode


async def listen(store: AsyncStore, receive: Callable[[Message], None]) -> None:
    """Pass every message on, over lost connections, until cancelled."""
    outage = Outage("control channel")
    while True:
        try:
            async for raw in store.subscribe(store.keys.control):
                outage.over()
                try:
                    message = _decode(raw)
                except msgspec.DecodeError as exc:
                    log.warning("control channel: a message was not understood: %s", exc)
                else:
                    receive(message)
        except GQMError as exc:
            await outage.pause(exc)
        else:
            await asyncio.sleep(1.0)
