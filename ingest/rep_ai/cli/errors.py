"""The one place that turns errors into lines and exit codes."""

import errno
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from rep_ai.errors import EXIT_FAILED, INTERRUPTED, SIGNALS, RepAiError
from rep_ai.landing.urls import public
from rep_ai.words import one_line

# where a command's context keeps its words
WORDS = "rep_ai.words"


def fail(message: str) -> NoReturn:
    """Say what went wrong, and end."""
    # a terminal that is gone can be told nothing
    with suppress(OSError):
        click.echo(f"rep-ai: {message}", err=True)
    sys.exit(EXIT_FAILED)


class Command(click.Command):
    """A command that says a failure in one line, with --json in a document too, and ends with 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words as they were given."""
        ctx.meta[WORDS] = [*args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Call it."""
        try:
            with handle_errors():
                return super().invoke(ctx)
        except RepAiError as error:
            if ctx.params.get("as_json"):
                click.echo(json.dumps({"error": str(error), "exit_code": EXIT_FAILED}))
            fail(str(error))


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn whatever goes wrong into a RepAiError whose text can be shown as it is.

    Raises:
        RepAiError: something went wrong, or a signal asks to end.
        OSError: the reader of a pipe has seen enough.
        click.ClickException, click.exceptions.Exit, click.Abort: click's own, as they are.
    """
    # first: a signal during an import may be swallowed by what is imported
    import rep_ai.commands.run  # noqa: F401

    try:
        with _interruptible() as came:
            try:
                yield
            except Exception as error:
                # DuckDB, for one, turns the interrupt into an error of its own
                if came and not isinstance(error, click.exceptions.Exit):
                    raise KeyboardInterrupt from error
                raise
    except RepAiError as error:
        raise RepAiError(_advised(error)) from error
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        where = error.filename or "input or output"
        raise RepAiError(_advised(f"{where}: {error.strerror or error}")) from error
    except KeyboardInterrupt as error:
        raise RepAiError(INTERRUPTED) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if os.environ.get("REP_AI_TRACEBACK"):
            raise
        said = f"{type(error).__name__}: {public(str(error))} (REP_AI_TRACEBACK=1 shows where)"
        raise RepAiError(_advised(said)) from error


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let a signal that asks to end do so in good order, as Ctrl-C does. Yields those that came."""
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        came.append(number)
        if number != signal.SIGINT:
            # a service manager or a closed terminal sends both, and more than once
            for each in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {each: signal.getsignal(each) for each in SIGNALS}
    before = {each: h for each, h in handlers.items() if h not in (None, signal.SIG_IGN)}
    try:
        for each in before:
            signal.signal(each, interrupt)
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _advised(error: object) -> str:
    """The error on one line, with what helps where a disk is full."""
    if why := _lost_output():
        return f"the output cannot be written: {why}"
    said = one_line(error)
    if os.strerror(errno.ENOSPC) in said:
        said += (
            f"; make room where the database is and in {tempfile.gettempdir()} (TMPDIR names "
            "another folder), then run again: nothing is half loaded"
        )
    return said


def _lost_output() -> str | None:
    """Why what was printed cannot be written, or None; stdout is then given up."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # without this it fails once more at the end of the process
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return error.strerror
    return None
