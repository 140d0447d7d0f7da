"""Time zones whose clocks change in a few seconds: shaped like real ones, as files of the zone database."""

from __future__ import annotations

import struct
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SHAPES", "Zone", "known"]

SHAPES: dict[str, tuple[int, int]] = {
    "New_York": (-18_000, -14_400),
    "Berlin": (3_600, 7_200),
    "Sao_Paulo": (-10_800, -7_200),
    "Lord_Howe": (37_800, 39_600),  # moves its clocks by half an hour
}
"""Seconds ahead of UTC in winter and in summer."""


@dataclass(frozen=True)
class Zone:
    """A zone that changes its offset once."""

    name: str
    change: int
    """Unix second of the change."""
    before: int
    after: int
    """Seconds ahead of UTC before and after it."""

    def clock(self, instant: int, offset: int | None = None) -> str:
        """A cron expression of six fields for the time of day that an offset shows at an instant."""
        shown = instant + (self.before if offset is None else offset)
        return f"{shown % 60} {shown // 60 % 60} {shown // 3600 % 24} * * *"

    def file(self) -> bytes:
        """The zone as a file of the zone database (TZif version 2, RFC 9536)."""
        head = b"TZif2" + bytes(15)
        types = struct.pack(">iBB", self.before, 0, 0) + struct.pack(">iBB", self.after, 1, 4)
        names = b"AAA\x00BBB\x00"
        old = (
            head + struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", self.before, 0, 0) + b"AAA\x00"
        )
        new = (
            head
            + struct.pack(">6I", 0, 0, 0, 1, 2, 8)
            + struct.pack(">q", self.change)
            + b"\x01"
            + types
            + names
        )
        return old + new + b"\n\n"


@contextmanager
def known(folder: Path, zones: list[Zone]) -> Iterator[None]:
    """Let Python find the zones for the length of a ``with`` block."""
    before = zoneinfo.TZPATH
    for zone in zones:
        path = folder / zone.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zone.file())
    zoneinfo.reset_tzpath(to=[str(folder), *before])
    try:
        yield
    finally:
        zoneinfo.reset_tzpath(to=before)
