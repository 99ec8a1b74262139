"""The variables of the dbt project, those that the commands read checked."""

from typing import Any
from zoneinfo import available_timezones

from rep_ai import project
from rep_ai.errors import RepAiError
from rep_ai.landing.raw_tables import SCHEMA_NAME


def checked(variables: dict[str, Any]) -> dict[str, Any]:
    """The project's variables, those of the command line first.

    Raises:
        RepAiError: a variable has a value that no command can do with.
    """
    settings = project.variables(variables)
    schema = str(settings["rep_ai_source_schema"])
    if not SCHEMA_NAME.fullmatch(schema):
        raise RepAiError(
            f"rep_ai_source_schema is {schema!r}",
            to_do="use lower-case letters, digits and single underscores",
        )
    major = str(settings["rep_ai_supported_major"])
    if not major.isdecimal():
        raise RepAiError(f"rep_ai_supported_major must be a whole number, not {major!r}")
    zone = str(settings["rep_ai_timezone"])
    if zone not in available_timezones():
        raise RepAiError(
            f"rep_ai_timezone is {zone!r}, not the IANA name of a time zone such as Europe/Berlin"
        )
    return settings
