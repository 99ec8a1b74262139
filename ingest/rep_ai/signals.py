"""The signals that ask a command to end, and what it says then; imported before all else."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "interrupted; nothing is half loaded, run it again"
