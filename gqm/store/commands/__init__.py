"""Pure, typed builders of Redis calls, one module per concern."""
