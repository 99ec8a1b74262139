"""URLs without what nobody may see: credentials never reach a table, a log or a screen.

This is done by hand, because what has to go is also in the messages of drivers, in any spelling.
"""

import hashlib
import re
from urllib.parse import urlsplit

from rep_ai.landing.errors import SourceError
from rep_ai.words import one_line

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# a password may hold what should have been escaped, but a port is none
_URL = re.compile(
    rf"({SCHEME.pattern})(?:[^/?#\s'\"<>]*@|[^/:?#@\s'\"<>]*:(?!\d*/)[^@\s'\"<>]*@)?"
    r"([^?#\s'\"<>]*)(?:\?([^\s'\"<>]*)|#[^\s'\"<>]*)?"
)
_NO_URL = (
    "this is no URL; where it names a user, write / as %2F, ? as %3F, # as %23 and @ as %40 in all "
    "else"
)
# stores whose drivers take the user for a part of the bucket's name
_USERLESS = {"s3", "s3a", "gs", "gcs"}


def check(url: str) -> None:
    """Refuse URLs that drivers misread: their errors leak parts of a password.

    Raises:
        SourceError: the URL is to be written in another way.
    """
    scheme = f"{url.partition('://')[0]}://" if "@" in url else url
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError(scheme, _NO_URL) from None
    has_user = "@" in parts.netloc
    if has_user and "@" in url.partition(parts.netloc)[2]:
        raise SourceError(scheme, _NO_URL)
    if has_user and parts.scheme in _USERLESS:
        raise SourceError(
            scheme, "such a URL takes no user or password: they come from the store's own settings"
        )


def storable(url: str) -> str:
    """A URL that any database can hold."""
    return url.encode(errors="backslashreplace").decode().replace("\0", "")


def public(url: str) -> str:
    """URLs without user, password and query, on one line; one query still differs from another."""

    def cleared(match: re.Match[str]) -> str:
        scheme, rest, query = match.groups()
        mark = "?" + hashlib.sha256(query.encode()).hexdigest()[:16] if query else ""
        return f"{scheme}{rest}{mark}"

    return "::".join(_URL.sub(cleared, link) for link in url.split("::"))


def why(error: BaseException) -> str:
    """The error in words, without credentials, on one line."""
    if isinstance(error, ImportError):
        return f"{error}; install it beside rep-ai"
    if isinstance(error, FileNotFoundError):
        # some stores say so whatever went wrong
        return why(error.__cause__) if error.__cause__ else "no such file or folder"
    said = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return one_line(public(said))
