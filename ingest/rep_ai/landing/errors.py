"""What goes wrong while dumps are landed."""

from rep_ai.errors import RepAiError
from rep_ai.words import on_line, one_line


class DestinationError(RepAiError):
    """The database cannot be used."""


class UnpreparedError(DestinationError):
    """Something has to be done before the database can be used."""

    joint = ": "


class BusyError(UnpreparedError):
    """Another program has the file open; the message says which."""


class LoadError(RepAiError):
    """The database refused the load."""


class SourceError(RepAiError):
    """A source or a file that cannot be read."""

    def __init__(self, where: str, what: str, to_do: str = "") -> None:
        """Keep names with line breaks on the line."""
        super().__init__(on_line(what), where=on_line(where or repr("")), to_do=to_do)


class ChangedError(SourceError):
    """A file that changed while it was read: what was read of it does not count."""

    def __init__(self, where: str) -> None:
        """Say of which file it is."""
        super().__init__(where, "it changed while it was read", "run again")


class BrokenError(Exception):
    """A file that cannot be decompressed, so it is rejected; the message says why.

    Attributes:
        digest: SHA-256 of the bytes as they lie in the store, in hexadecimal.
    """

    digest = ""


def caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error, or one that led to it, is of a kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def root_cause(error: BaseException, where: str = "") -> str:
    """What an error began with, on one line; `where` stands for a file that it does not name."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or where}: {error.strerror}"
    return one_line(error) or type(error).__name__
