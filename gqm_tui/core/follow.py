"""Follows the event stream for as long as it is wanted: reconnects, and says whether it is lost."""

from __future__ import annotations

from collections.abc import Callable

from gqm_tui.core.client import ApiClient, Params
from gqm_tui.core.clock import Clock
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.events import Bye, Event

RETRY_S = 3.0
RETRY_BUSY_S = 30.0
"""Where trying again soon cannot help: too many streams, none offered, or not for this caller."""
_LASTING = frozenset({Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.LIMITED, Kind.PROTOCOL})


class Follower:
    """One event stream.

    ``on_event`` gets every event; a `Hello` says that events may have been missed, so that what is shown
    should be asked for anew. ``on_lost`` is called when the stream is lost; the next `Hello` ends that.
    Neither may wait.
    """

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        params: Params | None = None,
        *,
        on_event: Callable[[Event], None],
        on_lost: Callable[[ApiError], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._params = params
        self._on_event = on_event
        self._on_lost = on_lost
        self.lost: ApiError | None = None
        """Why nothing comes; ``None`` while the stream is open, and before it was tried."""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            error = await self._follow()
            self.lost = error
            self._on_lost(error)
            await self._clock.sleep(_wait_s(error))

    async def _follow(self) -> ApiError:
        end = "the event stream was cut"
        try:
            async for event in self._client.events(self._params):
                self.lost = None
                self._on_event(event)
                if isinstance(event, Bye):
                    end = f"the server ended the event stream: {event.reason}"
        except ApiError as exc:
            return exc
        return ApiError(Kind.REFUSED, text=end)


def _wait_s(error: ApiError) -> float:
    busy = error.code == "SERVER_BUSY" or error.kind in _LASTING
    return max(RETRY_BUSY_S if busy else RETRY_S, error.retry_after or 0.0)
