"""``gqm doctor``: everything that can be checked about an installation, one line for each finding."""
