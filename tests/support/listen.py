"""Hears what scripts publish: subscribe first, then act, then read all messages."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import msgspec
import redis

__all__ = ["Listener"]


class Listener:
    """Messages of one channel, decoded, from ``with`` on."""

    def __init__(self, raw: redis.Redis, channel: str) -> None:
        self._raw: Any = raw
        self._channel = channel
        self._pubsub = self._raw.pubsub()

    def __enter__(self) -> Self:
        self._pubsub.subscribe(self._channel)
        assert self._pubsub.get_message(timeout=5)["type"] == "subscribe"
        return self

    def heard(self) -> list[dict[str, Any]]:
        """All messages that were published so far and not read before."""
        end = "the end of this test's messages"
        self._raw.publish(self._channel, end)
        found: list[dict[str, Any]] = []
        while True:
            message = self._pubsub.get_message(timeout=5)
            assert message is not None, "the server does not deliver"
            if message["data"] == end.encode():
                return found
            found.append(msgspec.json.decode(message["data"]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pubsub.close()
