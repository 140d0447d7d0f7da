"""Tests of the engine: pools, runners, supervisor."""
