"""What dbt's manifest says: the schemas, names and descriptions of what dbt builds."""

from typing import Any

import msgspec

from rep_ai import project
from rep_ai.errors import ProjectError
from rep_ai.installed import PACKAGE
from rep_ai.words import one_line

# both lie beside this model, and are no models themselves
DELIVERIES = "int_rep_ai__deliveries"
BESIDE_DELIVERIES = ("rep_ai_affected", "rep_ai_watermarks")


class Node(msgspec.Struct):
    """A model or seed, a part of what dbt writes of it."""

    resource_type: str
    package_name: str
    fqn: list[str]  # the package, the folders and the name
    schema: str
    alias: str  # the name of its table or view
    name: str
    description: str = ""
    columns: dict[str, dict[str, Any]] = {}
    config: dict[str, Any] = {}

    @property
    def is_mart(self) -> bool:
        """Whether it lies in the folder of the marts."""
        return self.resource_type == "model" and self.fqn[1] == "marts"


class _Group(msgspec.Struct):
    package_name: str
    config: dict[str, Any] = {}


class _Manifest(msgspec.Struct):
    nodes: dict[str, Node]
    groups: dict[str, _Group]


def nodes(target: str) -> dict[str, Node]:
    """This package's models and seeds, and what lies beside them, by name.

    They are read from what the last dbt command on the target has left: that is how things are
    called where it has built them. Without it dbt is asked, which takes some seconds.

    Raises:
        ProjectError: dbt cannot read the project.
    """
    manifest = _read()
    groups = (each for each in manifest.groups.values() if each.package_name == PACKAGE)
    if {each.config.get("meta", {}).get("target") for each in groups} != {target}:
        project.make_target_path()
        said: list[str] = []
        if project.dbt(["--quiet", "parse"], target=target, say=said.append):
            raise ProjectError(
                f"dbt cannot read the project: {one_line(' '.join(said))}",
                where=str(project.directory()),
            )
        manifest = _read()
    found = {
        node.name: node
        for node in manifest.nodes.values()
        if node.package_name == PACKAGE and node.resource_type in ("model", "seed")
    }
    for name in BESIDE_DELIVERIES:
        found[name] = msgspec.structs.replace(
            found[DELIVERIES], name=name, alias=name, resource_type="table"
        )
    return found


def _read() -> _Manifest:
    """What dbt has left, which is nothing where it has left nothing that can be read."""
    try:
        text = (project.target_path() / "manifest.json").read_bytes()
        return msgspec.json.decode(text, type=_Manifest)
    except (OSError, msgspec.DecodeError):
        return _Manifest({}, {})
