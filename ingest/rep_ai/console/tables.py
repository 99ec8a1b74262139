"""Tables on a terminal."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rep_ai.words import on_line, type_name

_NUMBER = re.compile(r"([-+]?\d[\d,]*(\.\d+)?%?)?")

# where no terminal sets a width, a row stays on its line
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table whose every text stays on its line; numbers stand to the right."""
    grid = Table(box=None, pad_edge=False)
    shown = [[_text(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        is_count = bool(shown) and all(_NUMBER.fullmatch(row[number]) for row in shown)
        grid.add_column(column, justify="right" if is_count else "left", overflow="fold")
    for row in shown:
        grid.add_row(*map(escape, row))
    _console.print(escape(title), style="bold")
    _console.print(grid)
    _console.print()


def show_rows(title: str, rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
    """Print rows, or some columns of them, under the names that they have; none is no table."""
    if rows:
        names = columns or tuple(rows[0])
        show_table(title, names, [[row[name] for name in names] for row in rows])


def show_unknown_types(title: str, unknown: Iterable[Mapping[str, Any]]) -> None:
    """Show kind, type and number of records of types that are not known."""
    rows = [{**row, "type": type_name(row["type"])} for row in unknown]
    show_rows(title, rows, "kind", "type", "records")


def _text(cell: object) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else on_line(str(cell))
