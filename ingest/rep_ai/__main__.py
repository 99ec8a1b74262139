"""The command's entry: small, so that a wish to end is answered from the first moment on."""

import os
import signal
from types import FrameType
from typing import NoReturn

from rep_ai.errors import INTERRUPTED, SIGNALS


def _end(_: int, __: FrameType | None) -> NoReturn:
    os.write(2, f"rep-ai: {INTERRUPTED}\n".encode())
    os._exit(1)


def main() -> None:
    """Run the command; where it does nothing that must be put in order, a signal ends it at once.

    An exception might strike anywhere in an import, and not all that is imported lets it through.
    """
    for each in SIGNALS:
        # nohup and shells' background jobs ignore some
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _end)
    try:
        from rep_ai.cli import main as command

        command(prog_name="rep-ai")
    finally:
        # Python takes its handlers away before it ends; what is done ends as it is done
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)


if __name__ == "__main__":
    main()
