"""What the vendor's page says of a dump: the one list of its collections and fields.

A field that is not listed here is kept in `_extra`; a collection that is not listed here is kept in
the raw table `other_entries`. Action and interaction types are listed in `seeds/`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Collection:
    """A top-level collection of the dump, and the raw table of the same name."""

    name: str
    is_object: bool  # an object (id -> record), else an array of records
    fields: tuple[str, ...]


HEADER_FIELDS = ("version", "start_time", "end_time")

COLLECTIONS = (
    Collection("users", True, ("id", "email_address", "display_name", "title", "active")),
    Collection("unique_visitors", True, ("id", "custom_id", "custom_metadata")),
    Collection(
        "unique_visitor_sessions",
        True,
        (
            "id",
            "session_group",
            "unique_visitor_id",
            "referrer",
            "user_agent",
            "start_time",
            "end_time",
        ),
    ),
    Collection(
        "unique_visitor_session_actions",
        False,
        ("id", "action", "session_id", "timestamp"),
    ),
    Collection(
        "unique_visitor_session_interactions",
        False,
        (
            "id",
            "interaction",
            "session_id",
            "user_id",
            "start_time",
            "end_time",
            "accept",
            "accept_time",
        ),
    ),
)
