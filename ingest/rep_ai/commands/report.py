"""rep-ai report: the marts as one HTML page."""

from pathlib import Path
from typing import Any

from rep_ai import project, report_page
from rep_ai.commands.settings import checked
from rep_ai.landing.destinations import of_target


def report(file: Path | None, target: str, variables: dict[str, Any]) -> tuple[Path, int]:
    """Write the report page.

    Args:
        file: where it goes; None: among what dbt leaves.
        target: target of the project's profile.
        variables: those of the command line, as at the last build.

    Returns:
        The file, and its size in bytes.

    Raises:
        RepAiError: the marts cannot be read, or a library is missing.
        OSError: the file cannot be written.
    """
    html = report_page.render(of_target(target), str(checked(variables)["rep_ai_timezone"]))
    if file is None:
        project.make_target_path()
        file = project.target_path() / "report.html"
    report_page.write(file, html)
    return file, len(html.encode())
