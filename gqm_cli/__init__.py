"""The command line ``gqm``: the only place that puts engine, API and terminal UI together."""
