"""Pictures of the terminal UI: where they are kept, and a screen that nothing but the test moves."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import textual._wait
from pytest_textual_snapshot import SVGImageExtension
from syrupy.location import PyTestLocation

ROOT = Path(__file__).resolve().parents[2]
BASELINE_PYTHON = (3, 11)


def _dirname(cls: type, *, test_location: PyTestLocation) -> str:
    module = Path(test_location.filepath).resolve()
    return str(ROOT / "snapshots" / module.relative_to(ROOT / "tests").with_suffix(""))


SVGImageExtension.dirname = classmethod(_dirname)


async def _nap(seconds: float) -> None:
    """Sleep in parts: a process that the system let wait would else seem to have had nothing to do."""
    for _ in range(4):
        await asyncio.sleep(seconds / 4)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("update_snapshots", False) and sys.version_info[:2] != BASELINE_PYTHON:
        raise pytest.UsageError("pictures are renewed on Python 3.11 only, so that they do not flip back")


@pytest.fixture(autouse=True)
def _quiet_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GQM_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    # A pilot's pause is a nap of so long, again until next to nothing was computed in it. Nothing here waits
    # for real time, so that short naps do; at Textual's 20 ms the suite would sleep for minutes.
    monkeypatch.setattr(textual._wait, "SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr(textual._wait, "sleep", _nap)
    monkeypatch.setattr(textual._wait, "SLEEP_IDLE", 0.001)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
