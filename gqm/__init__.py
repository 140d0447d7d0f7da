"""GQM: a Redis job queue."""

__version__ = "1.0.0"
