"""Tables on a terminal."""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rep_ai.warehouse.health import Row
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


def _text(cell: object) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else on_line(str(cell))


def show_unknown_types(title: str, unknown: Iterable[Row]) -> None:
    """Show kind, type and number of records of types that no seed lists."""
    rows = [(row["kind"], type_name(row["type"]), row["records"]) for row in unknown]
    show_table(title, ["kind", "type", "records"], rows)


def show_violations(table: str, broken: Iterable[Row]) -> None:
    """Show the broken promises, and the table that has all of them."""
    columns = ["severity", "rule", "entity", "rows", "such as"]
    show_table(f"Broken promises ({table})", columns, [row.values() for row in broken])
