"""rep-ai ingest: land dump files in the raw tables, each content once.

From top to bottom: the sources are listed, the ledger says what is new, and the new files are
loaded package by package.
"""

from collections.abc import Sequence
from time import perf_counter

from rep_ai import project
from rep_ai.landing import ledger as ledgers
from rep_ai.landing import sources, upkeep, user_agents
from rep_ai.landing.destinations import Destination
from rep_ai.landing.errors import LoadError
from rep_ai.landing.fetch import MAX_DOCUMENT_BYTES
from rep_ai.landing.ledger import Ledger
from rep_ai.landing.packages import Package, packed
from rep_ai.landing.results import FAILED, LOADED, REJECTED, UNCHANGED, Observer, Report
from rep_ai.landing.sources import Listing, SourceFile


def ingest(
    source_list: Sequence[str],
    destination: Destination,
    *,
    schema: str,
    supported_major: int = 1,
    patterns: Sequence[str] = sources.PATTERNS,
    retry_rejected: bool = False,
    max_bytes: int = MAX_DOCUMENT_BYTES,
    observer: Observer | None = None,
) -> Report:
    """Land every dump file that the ledger does not know; the caller holds the lock.

    Args:
        source_list: files, folders, globs or URLs.
        destination: the database.
        schema: schema of the raw tables.
        supported_major: the only major version that is loaded.
        patterns: names of the files that count in a folder.
        retry_rejected: read files again that an earlier run rejected.
        max_bytes: size that no decompressed document may exceed.
        observer: told what is done while it is.
    """
    started = perf_counter()
    observer = observer or Observer()
    if not project.SCHEMA_NAME.fullmatch(schema):
        raise LoadError(
            "use lower-case letters, digits and single underscores", where=f"schema {schema!r}"
        )
    listing = sources.find(source_list, patterns)
    is_new = not upkeep.bring_up_to_date(destination, schema)
    ledger = ledgers.read(destination, schema)
    report = Report(
        seen=len(listing.files),
        passed_over=sorted(listing.passed_over),
        not_dumps=len(listing.not_dumps),
    )
    new = unsettled(listing.files, ledger, report, retry_rejected=retry_rejected)
    observer.found(report, new)
    for part in packed(new):
        package = Package(
            part, ledger, supported_major, max_bytes, retry_rejected, observer=observer
        )
        package.load(destination, schema)
        note(package, ledger, report, observer)
        report.seconds = perf_counter() - started
    if is_new:
        upkeep.bring_up_to_date(destination, schema)
    report.gone = _forget(listing, ledger, destination, schema)
    user_agents.complete(destination, schema, observer)
    report.seconds = perf_counter() - started
    return report


def unsettled(
    files: Sequence[SourceFile], ledger: Ledger, report: Report, *, retry_rejected: bool
) -> list[SourceFile]:
    """The files that have to be read; the others are counted."""
    new = []
    for file in files:
        status = ledger.states.get(file.state)
        # a state without a time does not tell whether the file has changed
        is_new = status is None or file.modified_at is None
        if is_new or (status == REJECTED and retry_rejected):
            new.append(file)
        elif status == REJECTED:
            report.still_rejected += 1
        else:
            report.known += 1
    return new


def _forget(listing: Listing, ledger: Ledger, destination: Destination, schema: str) -> int:
    """Note which rejected files the sources list no more, so that none waits. Returns how many."""
    listed = {file.url for file in listing.files}
    gone = [url for url in ledger.rejected if url not in listed and listing.covers(url)]
    rows = [(url, load_id) for url in gone for load_id in sorted(ledger.rejected[url])]
    if rows:
        upkeep.append(destination, schema, "_gone_files", rows)
    return len(gone)


def note(package: Package, ledger: Ledger, report: Report, observer: Observer) -> None:
    """Count what became of the files of a package, and tell it."""
    for result in package.results:
        report.add(result)
        observer.ended(result.file, result.status, result.reason, result.rows)
        if result.status == LOADED:
            ledger.contents[result.delivery_id] = result.file.url
    for result in package.unchanged:
        report.still_rejected += result.status == REJECTED
        report.known += result.status != REJECTED
        observer.ended(result.file, UNCHANGED, None, 0)
    for file, line in package.failed:
        report.failed.append(line)
        observer.ended(file, FAILED, line, 0)
