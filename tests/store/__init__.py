"""Tests of the store: each script alone, the two shells, the ways to reach Redis."""
