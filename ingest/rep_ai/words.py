"""Text as people read it: on one line, and in the right number."""

from collections.abc import Collection


def on_line(text: str) -> str:
    """Text that stays on its line, whatever a file name holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(text: object) -> str:
    """The words of a message, such as a driver's of several lines, on one line."""
    return " ".join(str(text).split())


def named(files: Collection[str], shown: int = 5) -> str:
    """Files, given by path or URL, by the names of the first few, on one line."""
    names = sorted(on_line(file.rpartition("/")[2]) for file in files)
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def type_name(name: str | None) -> str:
    """A type as a person can see it; records may have none, or the empty text."""
    return "(no type)" if name is None else name or '""'


def many(count: int, one: str, more: str) -> str:
    """A number with the word that fits it."""
    return f"{count:,} {one if count == 1 else more}"
