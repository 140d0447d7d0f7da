"""The benchmarks themselves: each name that can be asked for is a program that says what it does."""

from __future__ import annotations

import importlib
import inspect

import pytest

from benchmarks.__main__ import PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_name_is_a_program_that_says_what_it_does(name: str) -> None:
    module, function = PROGRAMS[name].split(".")
    program = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    assert callable(program)
    assert inspect.getdoc(program)
