"""F21 and F22: what the package computes, against second implementations that share nothing with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.rows import Counts, record, sizes
from tests.model.test_model import run
from tests.support.servers import ServerFactory
from tests.unit.test_cron import ZONES, assert_equal_to_the_oracle

SEEDS: list[int] = json.loads(Path(__file__).with_name("seeds.json").read_text())["F22"]
"""Of random runs that are the same each time: one to begin with, and each that has found something."""
SEEDED_RUNS = 5


@sizes("F21")
def test_f21_next_times_of_cron_equal_the_oracle(size: int) -> None:
    for timezone in ZONES:
        assert_equal_to_the_oracle(timezone, size // len(ZONES), f"F21 {size}")
    record(Counts("F21", 0, 0, note=f"0 differences over 20 fires of each of {size:,} expressions"))


@sizes("F22")
def test_f22_the_key_space_equals_the_model_after_every_step(start_server: ServerFactory, size: int) -> None:
    run(start_server("--appendonly", "no").socket, size)
    record(Counts("F22", 0, 0, note=f"0 divergences over up to 30 steps of each of {size:,} runs"))


@pytest.mark.parametrize("seed", SEEDS)
def test_f22_runs_that_are_kept(start_server: ServerFactory, seed: int) -> None:
    run(start_server("--appendonly", "no").socket, SEEDED_RUNS, seed=seed)
