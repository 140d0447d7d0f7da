"""Tests of what is read for people: lists, objects, series, graphs."""
