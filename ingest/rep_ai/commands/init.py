"""rep-ai init: a small dbt project of the user's own, which imports the one of this package."""

import re
from importlib.metadata import version
from pathlib import Path

from rep_ai.errors import ProjectError
from rep_ai.installed import OURS, PACKAGE, renew_links

FILES = Path(__file__).resolve().parents[1] / "new_project"
# placeholders in those files: the project's name, and the version of this package
NAME, VERSION = "my_project", "0.0.0"
# dbt's own packages have these names, and dbt takes no second one of a name
_ENGINES = "duckdb|postgres|spark|snowflake|databricks|bigquery|redshift"
_TAKEN = re.compile(rf"{PACKAGE}|dbt(_({_ENGINES}))?")


def init(folder: Path) -> list[str]:
    """Lay a project down in a folder that has none of its files. Returns their names."""
    sources = {path.relative_to(FILES): path for path in sorted(FILES.rglob("*")) if path.is_file()}
    sources[Path("profiles.yml")] = OURS / "profiles.yml"
    if there := [str(name) for name in sources if (folder / name).exists()]:
        raise ProjectError(
            f"{folder} has {', '.join(there)} already",
            to_do="name a new folder; to import the package into a project that is there, see "
            "docs/install.md",
        )
    for name, source in sources.items():
        text = source.read_text(encoding="utf-8").replace(NAME, _dbt_name(folder))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(VERSION, version("rep-ai-marts")), encoding="utf-8")
    renew_links(folder, folder / "dbt_packages" / PACKAGE)
    return [str(name) for name in sources]


def _dbt_name(folder: Path) -> str:
    """A name that dbt takes for a project: the folder's, as far as it can be one."""
    name = re.sub(r"\W+", "_", folder.resolve().name.lower(), flags=re.ASCII).strip("_")
    return name if re.match(r"[a-z]", name) and not _TAKEN.fullmatch(name) else NAME
