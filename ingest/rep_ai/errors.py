"""What goes wrong, in words for the user, and how a command ends; imported before all else."""

import signal

# how a command ends; click ends wrong usage with 2
DONE, EXIT_FAILED, SOME_REJECTED = 0, 1, 3
# the signals that ask a command to end, and what it says then
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "interrupted; nothing is half loaded, run it again"


class RepAiError(Exception):
    """What keeps a command from its work; its text is one line for the user.

    Attributes:
        what: what is wrong.
        where: the file, URL or database that it is about, or "".
        to_do: what helps, or "" where nobody can tell.
    """

    # what stands between `what` and `to_do`
    joint = "; "

    def __init__(self, what: str, *, where: str = "", to_do: str = "") -> None:
        """Make the line of its parts."""
        self.what, self.where, self.to_do = what, where, to_do
        place = f"{where}: " if where else ""
        help_ = f"{self.joint}{to_do}" if to_do else ""
        super().__init__(f"{place}{what}{help_}")


class ProjectError(RepAiError):
    """The dbt project cannot be found or read."""
