"""The report page: one HTML file, made from the marts alone, that needs no network."""

import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from rep_ai import project
from rep_ai.installed import installs
from rep_ai.landing.destinations import Destination
from rep_ai.landing.errors import UnpreparedError
from rep_ai.report_page.charts import charts
from rep_ai.report_page.figures import collect, local
from rep_ai.warehouse.database import opened
from rep_ai.words import many, type_name

TEMPLATE = Path(__file__).with_name("page.html")
MARTS = (
    "dim_rep_ai__user_agents",
    "dim_rep_ai__users",
    "fct_rep_ai__interactions",
    "fct_rep_ai__session_groups",
    "fct_rep_ai__sessions",
    "rep_ai__contract_violations",
    "rep_ai__daily_activity",
    "rep_ai__dump_calendar",
    "rep_ai__unknown_types",
)
NONE = "\N{EN DASH}"


def write(path: Path, html: str) -> None:
    """Write the page whole or not at all: a web server never reads half of it.

    Raises:
        OSError: the file cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(html, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        new.unlink(missing_ok=True)


def render(destination: Destination, timezone: str) -> str:
    """The page as HTML; the same marts always give the same text.

    Args:
        destination: the database, which is only read.
        timezone: IANA name of the time zone in which the days of the marts begin.

    Raises:
        DestinationError: the marts cannot be read, are not built or have days of another zone;
            or a library of the extra `report` is missing.
    """
    try:
        import jinja2

        library = _library()
    except ImportError as error:
        raise UnpreparedError(f"{error.name} is missing", to_do=installs("report")) from None
    with opened(destination) as database:
        for name in MARTS:
            if not database.is_built(name):
                step = project.first_step(destination.name)
                raise UnpreparedError(
                    f"{destination.name} has no {database.shown(name)}",
                    to_do=f"build the marts by {step}, or dbt build",
                )
        found = collect(database, timezone)
    zone = ZoneInfo(timezone)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=_shown(","),
        share=_shown(".1%"),
        seconds=_shown(",.1f"),
        hours="{:g}".format,
        words=lambda name: name.replace("_", " "),
        type=type_name,
        local=lambda moment, style: local(moment, zone).strftime(style) if moment else NONE,
    )
    html = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        found,
        charts=charts(found),
        library=library,
        plural=many,
        table=database.shown,
    )
    # the page's policy: these scripts run and no other
    hashes = [
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    ]
    return html.replace("SCRIPT_HASHES", " ".join(hashes), 1)


@cache
def _library() -> str:
    """Vega-Embed with all it needs, as a script."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")
    # nothing in a script may end its element
    return script.replace("</script", "<\\/script")


def _shown(style: str) -> Callable[[float | None], str]:
    """A filter that writes a number in a style, and a dash where there is none."""
    return lambda value: NONE if value is None else format(value, style)
