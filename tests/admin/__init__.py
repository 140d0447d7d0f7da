"""Tests of the operator actions and their audit log."""
