"""What the panes know: the last good values, how old they are, and which single state that makes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar, cast

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Meta

T = TypeVar("T")


class PaneState(StrEnum):
    """What a pane shows; exactly one at a time."""

    LOADING = "loading"
    EMPTY = "empty"
    FILTERED_EMPTY = "filtered_empty"
    LIVE = "live"
    STALE = "stale"
    PARTIAL = "partial"
    DOWN = "down"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    FROZEN = "frozen"


class Tag(NamedTuple):
    """What a request was for; an answer whose tag is not its view's any more is dropped."""

    context: str
    view: str
    query: str
    seq: int


@dataclass(slots=True)
class Part(Generic[T]):
    """One of the answers that a view is made of."""

    name: str
    type: type[T]
    asked: object = None
    """What the value answers; a part that asks for something else begins empty."""
    value: T | None = None
    """The last good one; an error never takes it away."""
    meta: Meta | None = None
    at: float | None = None
    """Monotonic time of the last good reply; errors never touch it."""
    took_ms: float | None = None
    error: ApiError | None = None
    """Of the last request, if that failed."""
    in_flight: bool = False

    @property
    def tried(self) -> bool:
        """Whether a request has ended, in whatever way."""
        return self.at is not None or self.error is not None

    def age(self, now: float) -> float | None:
        """Return seconds since the last good reply."""
        return None if self.at is None else max(0.0, now - self.at)


class View:
    """What one pane shows: parts that are fetched together, of which one has the rows: the first, or `main`.

    ``context``, ``view`` and ``query`` say what is looked at; another query is another view, made anew, so
    that it begins empty. All ``now`` are monotonic seconds.
    """

    def __init__(self, context: str, view: str, query: str = "", *, main: str = "") -> None:
        self.tag = Tag(context, view, query, 0)
        self.parts: dict[str, Part[object]] = {}
        self.main = main
        """Name of the part with the rows; the first that is added unless set."""
        self.fails = 0
        """Rounds in a row in which every part failed."""
        self.retry_at: float | None = None
        """When the next try comes after such a round."""
        self.skew_ms: float | None = None
        """Clock of the server minus the one here, as of the last good reply."""
        self._server_time: tuple[float, float] | None = None

    # -- filled by the poller

    def add(self, name: str, type: type[T], asked: object = None) -> Part[T]:
        """Return the part of a name; a new one, or one that asks for something else, begins empty."""
        part = self.parts.get(name)
        if part is None or (part.type, part.asked) != (type, asked):
            part = self.parts[name] = cast("Part[object]", Part(name, type, asked))
        self.main = self.main or name
        return cast("Part[T]", part)

    def put(self, name: str, value: object, meta: Meta, now: float, took_ms: float, local_mid: float) -> None:
        """Store a good reply; ``local_mid`` is the wall time here in the middle of the request."""
        part = self.parts[name]
        part.value, part.meta, part.at, part.took_ms, part.error = value, meta, now, took_ms, None
        self.skew_ms = (meta.server_time - local_mid) * 1_000
        self._server_time = (meta.server_time, now - took_ms / 2_000)

    def fail(self, name: str, error: ApiError) -> None:
        """Store a failure; value and age stay."""
        self.parts[name].error = error

    def keep(self, names: Collection[str]) -> None:
        """Forget all parts but these."""
        for name in self.parts.keys() - names:
            del self.parts[name]
        if self.main not in names:
            self.main = ""

    # -- read by the pane

    def value(self, name: str, type: type[T]) -> T | None:
        """Return the last good value of a part. Raises ``TypeError`` for a type it was not asked for as."""
        part = self.parts.get(name)
        if part is None:
            return None
        if part.type != type:
            raise TypeError(f"part {name} is {part.type}, not {type}")
        return cast("T | None", part.value)

    def meta(self, name: str = "") -> Meta | None:
        """Return what stood beside the last good value of a part, of the main one without a name."""
        part = self.parts.get(name or self.main)
        return None if part is None else part.meta

    def error(self) -> ApiError | None:
        """Return why the main part failed, or else any other that does."""
        main = self.parts.get(self.main)
        if main is not None and main.error is not None:
            return main.error
        return next((error for _, error in self.problems()), None)

    @property
    def took_ms(self) -> float | None:
        """Return how long the last good reply of the main part took."""
        main = self.parts.get(self.main)
        return None if main is None else main.took_ms

    def problems(self) -> Iterator[tuple[str, ApiError]]:
        """Yield name and error of each part whose last request failed."""
        for part in self.parts.values():
            if part.error is not None:
                yield part.name, part.error

    @property
    def gone(self) -> bool:
        """Whether the object that is looked at is not there any more."""
        main = self.parts.get(self.main)
        return main is not None and main.error is not None and main.error.kind is Kind.NOT_FOUND

    @property
    def all_failed(self) -> bool:
        """Whether every part that was asked for failed the last time."""
        tried = [part for part in self.parts.values() if part.tried]
        return bool(tried) and all(part.error is not None for part in tried)

    def age(self, now: float) -> float | None:
        """Return seconds since the last good reply of the main part."""
        main = self.parts.get(self.main)
        return None if main is None else main.age(now)

    def stale(self, now: float, interval: float) -> bool:
        """Tell whether the rows are older than they may be: two intervals and a second."""
        age = self.age(now)
        return age is not None and age > 2 * interval + 1

    def retry_in(self, now: float) -> float | None:
        """Return seconds until the next try while every part fails."""
        return None if self.retry_at is None else max(0.0, self.retry_at - now)

    def server_now(self, now: float) -> float | None:
        """Return the server's time by its last answer and what has passed since; unix seconds."""
        if self._server_time is None:
            return None
        server_time, at = self._server_time
        return server_time + now - at

    def state(
        self, now: float, interval: float, rows_total: int, rows_shown: int, frozen: bool = False
    ) -> PaneState:
        """Return the one state that the pane shows.

        ``rows_total`` counts the rows without a filter, ``rows_shown`` those that match. Trouble that hides
        behind nothing else comes first; what fails beside good rows is told by `problems` in any state.
        """
        main = self.parts.get(self.main)
        if main is None or not main.tried:
            return PaneState.LOADING
        return self._trouble(main) or (
            PaneState.FROZEN if frozen else self._rows_state(now, interval, rows_total, rows_shown)
        )

    def _trouble(self, main: Part[object]) -> PaneState | None:
        kinds = {error.kind for _, error in self.problems()}
        if Kind.UNAUTHORIZED in kinds:
            return PaneState.UNAUTHORIZED
        if main.error is None:
            return None
        if main.error.kind is Kind.FORBIDDEN:
            return PaneState.FORBIDDEN
        if main.value is None or (self.all_failed and not self.gone):
            return PaneState.DOWN
        return None

    def _rows_state(self, now: float, interval: float, rows_total: int, rows_shown: int) -> PaneState:
        if rows_total == 0:
            return PaneState.EMPTY
        if rows_shown == 0:
            return PaneState.FILTERED_EMPTY
        if any(True for _ in self.problems()):
            return PaneState.PARTIAL
        return PaneState.STALE if self.stale(now, interval) else PaneState.LIVE
