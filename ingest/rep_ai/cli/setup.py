"""The commands around a project rather than a night: rep-ai init and doctor, and --version."""

import sys
from pathlib import Path
from typing import Any

import click

from rep_ai.cli.errors import Command
from rep_ai.cli.options import target_option, vars_option
from rep_ai.errors import DONE, EXIT_FAILED

# what `rep-ai COMMAND --help` ends with
EXAMPLES = {
    "doctor": "rep-ai doctor s3://bucket/dumps --bundle doctor.zip",
    "export": "rep-ai export /srv/bi/marts",
    "ingest": "rep-ai ingest dumps/2026-03-*.json.gz",
    "init": "rep-ai init visits",
    "report": "rep-ai report visits.html",
    "restore": "rep-ai restore 2026-03-01.json",
    "retire": "rep-ai retire 2026-03-01.json --reason 'a test of the vendor'",
    "run": "rep-ai run s3://bucket/dumps --quiet",
    "sample": "rep-ai sample sample_dumps --days 30",
    "status": "rep-ai status --max-age 26h --within 30d",
    "types": "rep-ai types --add action:SCREEN_SHARE",
}


def _show_versions(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Our version, and those of what we depend on."""
    if wanted and not context.resilient_parsing:
        from rep_ai.commands.doctor import versions

        for name, version in versions():
            click.echo(f"{name} {version}")
        context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_versions,
    help="Show the versions of rep-ai and of what it works with.",
)


@click.command(cls=Command)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Lay down a small dbt project of your own in DIRECTORY, which imports this one."""
    from rep_ai.commands.init import init as lay_down

    for name in lay_down(directory):
        click.echo(f"  {directory / name}")
    click.echo("What is yours is there, and no upgrade touches it. Go on with:")
    click.echo(f"  cd {directory}")
    click.echo("  rep-ai run SOURCE...")
    click.echo("or, to look around first, with samples in a database of their own:")
    click.echo("  rep-ai sample target/sample_dumps")
    click.echo("  REP_AI_DUCKDB=sample.duckdb rep-ai run target/sample_dumps")


@click.command(cls=Command)
@click.argument("source", nargs=-1)
@target_option
@vars_option
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it to this zip file as well, without personal data, to be sent to others.",
)
def doctor(
    source: tuple[str, ...], target: str | None, variables: dict[str, Any], bundle: Path | None
) -> None:
    """Look at versions, settings, database, stores (each SOURCE), disk and memory."""
    from rep_ai.commands.doctor import examine, show, write_bundle

    findings = examine(source, target, variables)
    show(findings)
    if bundle:
        write_bundle(bundle, findings, target)
        click.echo(f"{bundle} has it without personal data; look into it before you send it.")
    sys.exit(EXIT_FAILED if any(each.to_do for each in findings) else DONE)
