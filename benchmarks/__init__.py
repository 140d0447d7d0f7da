"""What is measured: one program per figure, each with its own server. ``python -m benchmarks --help``."""
