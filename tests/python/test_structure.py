"""The package shows its layers: imports go downwards, and nothing is too long to read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ingest" / "rep_ai"
MODULES = sorted(PACKAGE.rglob("*.py"))
# a layer imports from those below it; those of one line know nothing of each other
LAYERS = (
    {"__main__", "start_over"},
    {"cli"},
    {"commands"},
    {"console", "report_page", "sample"},
    {"warehouse"},
    {"landing"},
    {"dump"},
    {"project"},
    {"dbt_options", "installed"},
    {"errors", "words"},
)
MAX_LINES_OF_A_MODULE = 400
MAX_LINES_OF_A_FUNCTION = 60


def name_of(path: Path) -> str:
    """The module in a file, as imports name it."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports(path: Path) -> Iterator[str]:
    """The modules of this package that a module imports, at its start or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rep_ai"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in NAMES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("rep_ai"))


def layer(module: str) -> tuple[int, str]:
    """Its layer, counted from the top, and its folder or own name."""
    part = module.split(".")[1]
    return next(n for n, parts in enumerate(LAYERS) if part in parts), part


def test_imports_go_downwards() -> None:
    """From a layer to those below it, or within a folder."""
    for path in MODULES:
        if path.parent == PACKAGE and path.name == "__init__.py":
            continue
        above, folder = layer(name_of(path))
        for imported in imports(path):
            below, other = layer(imported)
            assert other == folder or below > above, f"{name_of(path)} imports {imported}"


def test_there_is_no_circle() -> None:
    """Not even among the modules of one folder."""
    edges = {name_of(path): set(imports(path)) - {name_of(path)} for path in MODULES}
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges, f"among these is a circle: {sorted(edges)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_too_long(path: Path) -> None:
    """A module and a function each fit into a reader's head."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES_OF_A_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_LINES_OF_A_FUNCTION, f"{node.name} has {length} lines"
