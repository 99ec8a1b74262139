"""The command line."""

from rep_ai.cli.app import main

__all__ = ["main"]
