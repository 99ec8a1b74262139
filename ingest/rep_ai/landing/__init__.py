"""From dump files to the raw tables."""
