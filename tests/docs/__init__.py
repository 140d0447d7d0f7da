"""The documentation is run: code blocks, links, answers, and what a release holds."""
