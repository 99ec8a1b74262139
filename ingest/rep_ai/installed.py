"""What is installed: this package, the dbt project that it brings, and how others find that."""

import os
from pathlib import Path

import yaml

from rep_ai.errors import ProjectError

# the name of this dbt project, as those that import it know it
PACKAGE = "rep_ai"
# the dbt project: in a wheel a folder of the package, in a checkout the checkout itself
PACKAGED = Path(__file__).resolve().parent / "dbt_package"
IS_CHECKOUT = not PACKAGED.is_dir()
OURS = PACKAGED.parents[2] if IS_CHECKOUT else PACKAGED
# where packages.yml of a project of `rep-ai init` looks for it
LINK = ".rep_ai"


def installs(extra: str) -> str:
    """The command that installs an extra."""
    if IS_CHECKOUT:
        return f"pip install --editable '.[{extra}]' in {OURS}"
    return f"pip install 'rep-ai-marts[{extra}]'"


def renew_links(project: Path, found_by_dbt: Path) -> None:
    """Let dbt find the package where it is installed now: a virtual environment may have moved.

    It is what `dbt deps` makes of packages.yml of a project, in a moment; projects with another
    packages.yml are left alone.
    """
    try:
        asked = yaml.safe_load((project / "packages.yml").read_text(encoding="utf-8"))
        is_linked = {"local": LINK} in asked["packages"]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        return
    if not is_linked:
        return
    links = {project / LINK: OURS, found_by_dbt: (project / LINK).absolute()}
    for link, aim in links.items():
        try:
            if link.is_symlink() and link.resolve() == OURS:
                continue
            link.parent.mkdir(exist_ok=True)
            new = link.with_name(f"{link.name}.{os.getpid()}")
            new.unlink(missing_ok=True)
            new.symlink_to(aim, target_is_directory=True)
            new.rename(link)
        except OSError as error:
            raise ProjectError(
                f"{link} cannot be made to lead to {aim}: {error.strerror}",
                to_do="remove what is there, or let rep-ai write there once",
            ) from None
