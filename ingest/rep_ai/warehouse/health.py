"""Whether the data is as expected: the windows of the dumps, and what in them is not as promised.

Times are UTC without zone. Rows have the names of the marts' columns.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from rep_ai.warehouse.database import Database
from rep_ai.words import many, on_line

Row = dict[str, Any]

# how many of the last windows are shown and watched
LAST_WINDOWS = 14
CALENDAR = "rep_ai__dump_calendar"
VIOLATIONS = "rep_ai__contract_violations"
# rules that `rep-ai run` says in words
FIRST_CONTACT = ("field_missing", "collection_missing")
# rules about several files of one window, and what each says of them; the first is a problem
REPLACED = {
    "equal_version_lacks_sessions": (
        "file is hardly an older version of the one that counts",
        "files are hardly older versions of those that count",
    ),
    "higher_version_lacks_sessions": (
        "file has sessions that the higher version of it lacks",
        "files have sessions that the higher versions of them lack",
    ),
    "equal_versions": (
        "file has the version of the one that counts, and other content",
        "files have the versions of those that count, and other content",
    ),
}
HARDLY_VERSIONS = "equal_version_lacks_sessions"
# what variable rep_ai_fields calls the collections
ENTITIES = {
    "sessions": "unique_visitor_sessions",
    "actions": "unique_visitor_session_actions",
    "interactions": "unique_visitor_session_interactions",
    "visitors": "unique_visitors",
    "users": "users",
}
TO_DO = "(what to do: docs/operate.md#a-delivery-that-is-wrong)"
OWN_FIELDS = "docs/operate.md#fields-of-your-own"
# how many files or windows one line names
NAMED = 3


def windows(database: Database) -> list[Row]:
    """The rows of the dump calendar, windows and the gaps between them, in order."""
    return database.records(f"select * from {{{CALENDAR}}} order by window_start_at, window_end_at")


def length(window: Row) -> timedelta:
    """From its start to its end."""
    duration: timedelta = window["window_end_at"] - window["window_start_at"]
    return duration


def span(window: Row) -> Row:
    """Where it lies, by the keys of `rep-ai status --json`."""
    return {"from": window["window_start_at"], "until": window["window_end_at"]}


def gaps(found: list[Row]) -> list[Row]:
    """The stretches without a dump, and how many usual windows long each is."""
    missing = [window for window in found if window["status"] == "missing"]
    if not missing:
        return []
    usual = median(length(each).total_seconds() for each in found if each["status"] != "missing")
    return [
        {**span(each), "windows": max(1, round(length(each).total_seconds() / usual))}
        for each in missing
    ]


def unknown_types(database: Database) -> list[Row]:
    """Types that are not known, the most frequent first; `type` is None or "" where it lacks."""
    return database.records(
        "select kind, type, record_count as records, first_seen_at, last_seen_at "
        "from {rep_ai__unknown_types} order by record_count desc, kind, type"
    )


def violations(database: Database) -> list[Row]:
    """The broken promises by rule, the most frequent of each severity first."""
    return database.records(
        "select severity, rule, entity, count(*) as rows, min(record_id) as example "
        f"from {{{VIOLATIONS}}} group by severity, rule, entity "
        "order by severity, count(*) desc, rule, entity"
    )


def missing_fields(database: Database) -> list[tuple[Any, ...]]:
    """Rule, collection, field and number of dumps where dumps lack what the vendor's page lists."""
    return database.rows(
        f"select rule, entity, record_id, count(*) from {{{VIOLATIONS}}} "
        f"where rule in {FIRST_CONTACT} "
        "group by rule, entity, record_id order by rule, entity, record_id",
    )


def unlisted_fields(database: Database, settings: Row) -> list[Row]:
    """Fields that neither the vendor's page lists nor variable `rep_ai_fields` names."""
    own = settings.get("rep_ai_fields") or {}
    named = {(table, name) for entity, table in ENTITIES.items() for name in own.get(entity) or ()}
    return [
        {"collection": table, "field": name, "records": records}
        for table in ENTITIES.values()
        for name, records in database.unlisted(table)
        if (table, name) not in named
    ]


def unfinished_line(models: Sequence[str]) -> str:
    """That some models are older than the others."""
    verb = "is" if len(models) == 1 else "are"
    return f"the last build did not finish, {', '.join(models)} {verb} as before"


def window_warnings(database: Database) -> list[str]:
    """What is not as expected of the windows, one line each, problems first."""
    found = windows(database)
    return [*window_problems(database, gaps(found)), *window_doubts(database, found)]


def window_problems(
    database: Database, missing: Sequence[Row], since: datetime = datetime.min
) -> Iterator[str]:
    """What a pager should know of the windows, and of the gaps between them, one line each.

    Gaps that end before `since`, and files whose window starts before it, are left out.
    """
    yield from _replaced(database, [HARDLY_VERSIONS], since)
    if recent := [gap for gap in missing if gap["until"] >= since]:
        said = many(sum(gap["windows"] for gap in recent), "dump is", "dumps are")
        last = recent[-1]
        only = "" if len(recent) == 1 else f"the last in {len(recent):,} gaps "
        window = f"from {last['from']:%Y-%m-%d %H:%M} to {last['until']:%Y-%m-%d %H:%M} UTC"
        yield f"{said} missing: {only}{window}"


def window_doubts(database: Database, found: Sequence[Row]) -> Iterator[str]:
    """Which windows or files are to be looked at, and may well be right, one line each."""
    for window in found[-LAST_WINDOWS:]:
        if window["has_few_actions"]:
            yield (
                f"the window from {window['window_start_at']:%Y-%m-%d %H:%M} UTC has "
                f"{many(window['action_count'] or 0, 'action', 'actions')}; the windows before it "
                f"had {window['usual_action_count']:,.0f}"
            )
    overlapping = database.rows(
        "select calendar.window_start_at, calendar.window_end_at, min(versions.file_url) "
        f"from {{{CALENDAR}}} as calendar left join {{int_rep_ai__delivery_versions}} as versions "
        "on calendar.window_start_at = versions.window_start_at "
        "and calendar.window_end_at = versions.window_end_at and versions.is_current "
        "where calendar.status = 'overlapping' "
        "group by calendar.window_start_at, calendar.window_end_at order by 1 desc, 2 desc"
    )
    if overlapping:
        said = [
            f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC ({on_line(url or 'retired')})"
            for start, end, url in overlapping
        ]
        yield f"{len(said):,} windows overlap, and all of them count: {_named(said)} {TO_DO}"
    yield from _replaced(database, [rule for rule in REPLACED if rule != HARDLY_VERSIONS])


def _replaced(
    database: Database, rules: Sequence[str], since: datetime = datetime.min
) -> Iterator[str]:
    """A line for each rule of `REPLACED` that files of one window break, with the last of them."""
    broken = database.rows(
        f"select rule, dump_start_at, detail from {{{VIOLATIONS}}} "
        "where entity = 'deliveries' order by dump_start_at desc, detail"
    )
    for rule in rules:
        details = [said for name, start, said in broken if name == rule and start >= since]
        if details:
            yield f"{many(len(details), *REPLACED[rule])}: {_named(details)} {TO_DO}"


def _named(texts: Sequence[str]) -> str:
    """The first of them, and how many there are besides."""
    more = len(texts) - NAMED
    return "; ".join([*texts[:NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def data_warnings(
    database: Database, unlisted: Sequence[Row] = (), types_command: str = "rep-ai types"
) -> list[str]:
    """What in the records is not as expected, one line each; `types_command` lists the types."""
    lines = []
    if unknown := unknown_types(database):
        lines.append(
            f"{many(len(unknown), 'type is', 'types are')} not known yet "
            f"({sum(row['records'] for row in unknown):,} records); they are listed by "
            f"{types_command}"
        )
    if unlisted:
        said = [
            f"{each['collection']}.{on_line(each['field'])} ({each['records']:,} records)"
            for each in unlisted
        ]
        lines.append(
            f"{many(len(unlisted), 'field is', 'fields are')} not listed, and in no column: "
            f"{_named(said)}; variable rep_ai_fields makes columns of them: {OWN_FIELDS}"
        )
    severities = database.rows(
        f"select severity, count(*) from {{{VIOLATIONS}}} group by severity order by severity"
    )
    lines += [
        f"{many(count, 'contract violation', 'contract violations')} of severity {severity}: "
        f"{database.shown(VIOLATIONS)}"
        for severity, count in severities
    ]
    return lines
