"""The terminal UI: an operator's view of the REST API, and of nothing else."""
