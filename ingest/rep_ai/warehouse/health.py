"""Whether the data is as expected: the windows of the dumps, and what in them is not as promised.

Times are UTC without zone. Rows have the names of the marts' columns.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median
from typing import Any, NamedTuple

from rep_ai.warehouse.database import Database
from rep_ai.words import many, on_line, type_name

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
# what variable rep_ai_fields calls the collections
ENTITIES = {
    "sessions": "unique_visitor_sessions",
    "actions": "unique_visitor_session_actions",
    "interactions": "unique_visitor_session_interactions",
    "visitors": "unique_visitors",
    "users": "users",
}
TO_DO = "what to do: docs/operate.md#a-delivery-that-is-wrong"
OWN_FIELDS = "docs/operate.md#fields-of-your-own"
# how many examples one line has
NAMED = 3


class Remark(NamedTuple):
    """Something that is not as expected; its text is one line, with the first examples."""

    what: str
    examples: Sequence[str] = ()
    to_do: str = ""
    is_whole: bool = False  # a person is shown all of the examples

    def __str__(self) -> str:
        """On one line."""
        more = len(self.examples) - NAMED
        said = [*self.examples[:NAMED], f"and {more:,} more" if more > 0 else "", self.to_do]
        return ": ".join(filter(None, (self.what, "; ".join(filter(None, said)))))


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


def window_remarks(database: Database) -> list[Remark]:
    """What is not as expected of the windows, problems first."""
    found = windows(database)
    return [*window_problems(database, gaps(found)), *window_doubts(database, found)]


def window_problems(
    database: Database, missing: Sequence[Row], since: datetime = datetime.min
) -> Iterator[Remark]:
    """What a pager should know of the windows, and of the gaps between them.

    Gaps that end before `since`, and files whose window starts before it, are left out.
    """
    yield from _replaced(database, [*REPLACED][:1], since)
    if recent := [gap for gap in missing if gap["until"] >= since]:
        said = many(sum(gap["windows"] for gap in recent), "dump is", "dumps are")
        last = recent[-1]
        only = "" if len(recent) == 1 else f"the last in {len(recent):,} gaps "
        window = f"from {last['from']:%Y-%m-%d %H:%M} to {last['until']:%Y-%m-%d %H:%M} UTC"
        yield Remark(f"{said} missing: {only}{window}")


def window_doubts(database: Database, found: Sequence[Row]) -> Iterator[Remark]:
    """Which windows or files are to be looked at, and may well be right."""
    for window in found[-LAST_WINDOWS:]:
        if window["has_few_actions"]:
            yield Remark(
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
        yield Remark(f"{len(said):,} windows overlap, and all of them count", said, TO_DO)
    yield from _replaced(database, [*REPLACED][1:])


def _replaced(
    database: Database, rules: Sequence[str], since: datetime = datetime.min
) -> Iterator[Remark]:
    """A remark for each rule of `REPLACED` that files of one window break, the last ones first."""
    broken = database.rows(
        f"select rule, dump_start_at, detail from {{{VIOLATIONS}}} "
        "where entity = 'deliveries' order by dump_start_at desc, detail"
    )
    for rule in rules:
        if details := [said for name, start, said in broken if name == rule and start >= since]:
            yield Remark(many(len(details), *REPLACED[rule]), details, TO_DO)


def unknown_types(database: Database) -> list[Row]:
    """Types that are not known, the most frequent first; `type` is None or "" where it lacks."""
    return database.records(
        "select kind, type, record_count as records, first_seen_at, last_seen_at "
        "from {rep_ai__unknown_types} order by record_count desc, kind, type"
    )


def content(database: Database, settings: Row) -> Row:
    """What in the records is not as expected, by the keys of `rep-ai status --json`.

    Fields are those that neither the vendor's page lists nor variable `rep_ai_fields` names;
    violations are counted by rule, the most frequent of each severity first.
    """
    own = settings.get("rep_ai_fields") or {}
    named = {(table, name) for entity, table in ENTITIES.items() for name in own.get(entity) or ()}
    return {
        "unknown_types": unknown_types(database),
        "unlisted_fields": [
            {"collection": table, "field": name, "records": records}
            for table in ENTITIES.values()
            for name, records in database.unlisted(table)
            if (table, name) not in named
        ],
        "violations": database.records(
            "select severity, rule, entity, count(*) as rows, min(record_id) as example "
            f"from {{{VIOLATIONS}}} group by severity, rule, entity "
            "order by severity, count(*) desc, rule, entity"
        ),
    }


def content_remarks(database: Database, found: Row, settings: Row) -> Iterator[Remark]:
    """The same in words; without `settings` those for a reader who is not at this machine."""
    if unknown := found["unknown_types"]:
        where, command = "", "rep-ai types --add-all"
        if settings:
            is_in = str(settings["rep_ai_include_unknown_types"]).lower() == "true"
            what = "all facts and counts" if is_in else "no fact or count"
            where = f", and their records are in {what}"
            command = database.command("rep-ai", "types", "--add-all")
        yield Remark(
            f"{many(len(unknown), 'type is', 'types are')} not known yet{where}",
            [
                f"{each['kind']} {on_line(type_name(each['type']))}: {each['records']:,}"
                for each in unknown
            ],
            f"add them, then run again: {command}",
        )
    if fields := found["unlisted_fields"]:
        yield Remark(
            f"{many(len(fields), 'field is', 'fields are')} not listed, and in no column",
            [
                f"{each['collection']}.{on_line(each['field'])}: "
                f"{many(each['records'], 'record', 'records')}"
                for each in fields
            ],
            f"variable rep_ai_fields makes columns of them: {OWN_FIELDS}",
        )
    for severity, broken in groupby(found["violations"], key=lambda each: each["severity"]):
        counts: Counter[str] = Counter()
        for each in broken:
            counts[each["rule"]] += each["rows"]
        said = many(counts.total(), "contract violation", "contract violations")
        yield Remark(
            f"{said} of severity {severity}",
            [f"{rule}: {count:,}" for rule, count in counts.most_common()],
            f"the rows are in {database.shown(VIOLATIONS)}",
        )


def missing_fields(database: Database) -> Iterator[Remark]:
    """Where the dumps lack what the vendor's page lists; it is among the violations, too."""
    rows = database.rows(
        f"select rule, entity, record_id, count(*) from {{{VIOLATIONS}}} "
        f"where rule in {FIRST_CONTACT} "
        "group by rule, entity, record_id order by rule, entity, record_id"
    )
    if rows:
        yield Remark(
            "Dumps that differ from the vendor's page",
            [
                f"no {entity}{' at all' if rule == 'collection_missing' else f'.{name}'}: "
                f"{count:,} dumps"
                for rule, entity, name, count in rows
            ],
            "a field that has another name is one line in models/staging/_staging__sources.yml: "
            "docs/extend.md#a-field",
            is_whole=True,
        )


def unfinished_line(models: Sequence[str]) -> str:
    """That some models are older than the others."""
    verb = "is" if len(models) == 1 else "are"
    return f"the last build did not finish, {', '.join(models)} {verb} as before"
