"""From dump files to the raw tables.

Whatever works with a database raises a DestinationError or a LoadError where it fails.
"""
