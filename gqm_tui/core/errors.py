"""What can go wrong between the terminal UI and the REST API, as one exception with a kind to decide by."""

from enum import StrEnum

from gqm_tui.core.text import safe

_MAX_SENTENCE = 300
_GATEWAY_FAILED = frozenset({502, 504})
"""A proxy had no answer from the server behind it, which may have done its work."""


class Kind(StrEnum):
    """What a failure means for the screen."""

    REFUSED = "refused"
    """No connection, or it was cut."""
    TIMEOUT = "timeout"
    """No answer in time; what a write did is not known."""
    TLS = "tls"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """The state of the object forbids the action."""
    LIMITED = "limited"
    """Too many requests."""
    UNAVAILABLE = "unavailable"
    """The server answers, and cannot work now."""
    PROTOCOL = "protocol"
    """The question or the answer is not what the API's contract says."""

    @property
    def is_away(self) -> bool:
        """Whether the cause is likely to hit every other request too."""
        return self in _AWAY


_AWAY = frozenset({Kind.REFUSED, Kind.TIMEOUT, Kind.TLS, Kind.UNAVAILABLE})


class ApiError(Exception):
    """A request that brought no usable answer.

    `kind` says what to do, `status` is the HTTP status (0 without an answer), `code` the API's own code
    (empty if it sent none), `text` its words, `retry_after` the seconds that it asks to wait, `ref` the id
    under which the server's log knows the request. `sent` says whether the server may have got it although
    no answer came; without it only a time-out counts as sent.
    """

    def __init__(
        self,
        kind: Kind,
        status: int = 0,
        code: str = "",
        text: str = "",
        retry_after: float | None = None,
        ref: str = "",
        *,
        sent: bool | None = None,
    ) -> None:
        super().__init__(kind, status, code, text, retry_after, ref)
        self.kind = kind
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.ref = ref
        self.sent = kind is Kind.TIMEOUT if sent is None else sent

    @property
    def sentence(self) -> str:
        """The error in one clean line for people."""
        words = " ".join(self.text[: 4 * _MAX_SENTENCE].split())
        clean = safe(words) or self.kind.value.replace("_", " ")
        return clean if len(clean) <= _MAX_SENTENCE else f"{clean[: _MAX_SENTENCE - 1]}…"

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have been carried out although no answer came."""
        if self.status == 0:
            return self.sent and self.kind in {Kind.TIMEOUT, Kind.REFUSED}
        return self.status in _GATEWAY_FAILED

    def __str__(self) -> str:
        return self.sentence
