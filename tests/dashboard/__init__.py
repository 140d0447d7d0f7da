"""Tests of the web dashboard, in a real browser against a real server."""
