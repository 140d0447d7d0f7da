"""The panes: each polls its part of the API while it can be seen, and shows it."""
