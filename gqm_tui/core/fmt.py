"""How numbers, ages and durations are written on the screen."""

from datetime import UTC, datetime

UNKNOWN = "…"
ZERO = "·"
_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400
_SHORT_FROM = 100_000


def age(seconds: float | None) -> str:
    """Write a span in seconds as `12s`, `14m02s`, `6h04m` or `2d01h`; a negative one counts as 0."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"
    return f"{whole // _DAY_S}d{whole % _DAY_S // _HOUR_S:02}h"


def duration(ms: float | None) -> str:
    """Write a duration in milliseconds as `812ms`, `1.24s`, or as an age from one minute on."""
    if ms is None:
        return UNKNOWN
    if round(ms) < 1_000:
        return f"{max(0, round(ms))}ms"
    # Compared after rounding, so that 59.996 s is a minute and never "60.00s".
    return f"{ms / 1_000:.2f}s" if round(ms / 1_000, 2) < _MINUTE_S else age(round(ms / 1_000))


def count(number: int | None) -> str:
    """Write a count as `31,204`, from 100,000 on as `123k` or `1.2M`; zero is a dot, unknown an ellipsis."""
    if number is None:
        return UNKNOWN
    if number == 0:
        return ZERO
    if abs(number) < _SHORT_FROM:
        return f"{number:,}"
    if abs(number) < 999_500:
        return f"{number / 1_000:.0f}k"
    return f"{number / 1_000_000:.1f}M"


def clock(epoch_s: float | None, *, local: bool = False) -> str:
    """Write a moment, in seconds since the epoch, as `12:00:03Z`, or in local time without the Z."""
    if epoch_s is None:
        return UNKNOWN
    if local:
        return datetime.fromtimestamp(epoch_s).astimezone().strftime("%H:%M:%S")
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%H:%M:%SZ")
