"""How numbers, ages and durations are written on the screen."""

from datetime import UTC, datetime

UNKNOWN = "…"
ZERO = "·"
_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400
_SHORT_FROM = 100_000
_KIB = 1_024


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


def short(ms: float | None) -> str:
    """Write how long something has been running: as `4.1s` below a minute, then as an age."""
    if ms is None:
        return UNKNOWN
    return f"{ms / 1_000:.1f}s" if ms < 59_950 else age(ms / 1_000)


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


def stamp(epoch_s: float | None, *, local: bool = False) -> str:
    """Write a moment with its day, as `11-24 12:00:03Z`, or in local time without the Z."""
    if epoch_s is None:
        return UNKNOWN
    if local:
        return datetime.fromtimestamp(epoch_s).astimezone().strftime("%m-%d %H:%M:%S")
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%m-%d %H:%M:%SZ")


def size(octets: float | None) -> str:
    """Write a size in bytes as `412 B`, `2.1K`, `96M` or `2.1G`, by powers of 1,024."""
    if octets is None:
        return UNKNOWN
    if octets < _KIB:
        return f"{octets:.0f} B"
    for unit in "KMGT":
        octets /= _KIB
        if octets < 999.5 or unit == "T":
            break
    return f"{octets:.1f}{unit}".replace(".0", "") if octets < 9.95 else f"{octets:.0f}{unit}"


def rate(number: float | None) -> str:
    """Write a number per unit of time as `994`, `48.7k` or `1.2M`; zero is a dot, unknown an ellipsis."""
    if number is None:
        return UNKNOWN
    if round(number) < 10_000:
        return f"{round(number):,}" if round(number) else ZERO
    return f"{number / 1_000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.1f}M"


def share(part: float | None) -> str:
    """Write a part of 1 as `9%`."""
    return UNKNOWN if part is None else f"{part:.0%}"
