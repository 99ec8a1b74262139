"""The command's entry: small, so that Ctrl-C and SIGTERM work during imports too."""

import os
import signal
from types import FrameType
from typing import NoReturn

from rep_ai.errors import INTERRUPTED, SIGNALS


def _end(_: int, __: FrameType | None) -> NoReturn:
    os.write(2, f"rep-ai: {INTERRUPTED}\n".encode())
    os._exit(1)


def main() -> None:
    """Run the command; until there is something to clean up, a signal ends it at once.

    No exception does: what is being imported may swallow it.
    """
    for each in SIGNALS:
        # nohup and shells' background jobs ignore some
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _end)
    try:
        from rep_ai.cli import main as command

        command(prog_name="rep-ai")
    finally:
        # Python removes its handlers before it ends: a signal then changes no exit code
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)


if __name__ == "__main__":
    main()
