"""The docs: nothing without a description, links that lead somewhere, examples that are real."""

# ruff: noqa: D103 - the names of the tests say it

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pages
import processes
from dumps import EMPTY
from marts import RAW_SCHEMA, environment
from processes import PROJECT
from rep_ai.commands.ingest import ingest
from rep_ai.dump.format import COLLECTIONS, RAW_TABLES
from rep_ai.landing.destinations import DuckDB
from rep_ai.landing.raw_tables import TABLES
from rep_ai.landing.upkeep import WRITTEN

# raw columns that may hold personal data, and columns that are made of them under other names
PERSONAL = {
    "_extra",
    "custom_id",
    "custom_metadata",
    "display_name",
    "email_address",
    "record",
    "referrer",
    "user_agent",
}
RENAMED = {
    "detail": "record",
    "email": "custom_metadata",
    "person_id": "custom_id",
    "properties": "_extra",
}
# a dump in which each collection has one record, and that record has no field of the vendor's
BARE = {
    "version": "1.0.0",
    "start_time": 1_735_689_600_000,
    "end_time": 1_735_776_000_000,
    **{c.name: {"x": {}} if c.is_object else [{}] for c in COLLECTIONS},
}
MISSING_FIELD = "rule field_missing, entity unique_visitor_session_actions, record_id action: 1"
MISSING_ID = "rule missing_id, entity unique_visitor_session_actions: 1, such as no id and no key"
# the nights of the examples in the pages of the violation rules
NIGHTS = (1_768_003_200_000, 1_768_089_600_000, 1_768_176_000_000)
RULES = "model.rep_ai.rep_ai__contract_violations"
RULE = re.compile(r"^    '(\w+)': '(error|warn)',$", re.MULTILINE)
EXAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)
EXAMPLE_ROW = re.compile(r"^\| (\w+) \| ?(\S*) ?\| (.*?) \|$", re.MULTILINE)
PARTS = ("**What it shows.** ", "**Example.**", "**Why it matters.** ", "**What to do.** ")
KINDS = (
    *("model", "seed", "source", "macro", "test"),
    *("analysis", "exposure", "metric", "semantic_model"),
)
LABELLED = ("exposure", "metric")
LINK = re.compile(r"\(#!/\w+/([\w.]+)\)")
SIGNATURE = re.compile(r"{%-?\s*(?:macro|test)\s+\w+\((.*?)\)\s*-?%}", re.DOTALL)
IMPLEMENTATION = re.compile(r"[a-z]+__rep_ai_")

# the page that defines each figure: a rule a section
FIGURES = "docs/query.md"
RULE_SECTION = re.compile(r"^### (.*)$", re.MULTILINE)
POINTER = re.compile(r"docs/[\w-]+\.md(?:#[\w-]+)?")
SECTION = re.compile(r"(docs/[\w-]+\.md)#([\w-]+)")
# rules that are no model's: macros read values
NO_MODEL = {"how-values-are-read"}
README_LINES = 120
LINE_LENGTH = 125
# its tables have whole sentences in their cells
WIDE = {"docs/incremental.md"}

Thing = dict[str, Any]


@dataclass(frozen=True)
class Project:
    """What dbt knows of the project, and of the database it has built."""

    folder: Path
    database: DuckDB
    manifest: Thing
    catalog: Thing
    output: str

    def of_kind(self, *kinds: str) -> Iterator[Thing]:
        """Nodes, sources, macros, exposures and metrics of this project."""
        for group in ("nodes", "sources", "macros", "exposures", "metrics", "semantic_models"):
            for thing in self.manifest[group].values():
                if thing["package_name"] == "rep_ai" and thing["resource_type"] in kinds:
                    yield thing

    def columns(self) -> Iterator[tuple[str, Thing]]:
        """All columns, with a name to show."""
        for thing in self.of_kind("model", "seed", "source"):
            for column in thing["columns"].values():
                yield f"{thing['name']}.{column['name']}", column

    def marts(self) -> Iterator[Thing]:
        """The models that are the project's public surface."""
        return (model for model in self.of_kind("model") if model["schema"] == "rep_ai")

    def semantics(self) -> Iterator[tuple[str, Thing]]:
        """What semantic models are made of, with a name to show."""
        for model in self.of_kind("semantic_model"):
            for part in ("entities", "dimensions", "measures"):
                for thing in model[part]:
                    yield f"{model['name']}.{thing['name']}", thing

    def pages(self) -> dict[str, str]:
        """The pages of documentation of the violation rules."""
        start = "doc.rep_ai.violation_"
        return {
            key.removeprefix(start): block["block_contents"]
            for key, block in self.manifest["docs"].items()
            if key.startswith(start) and key != f"{start}rule"
        }


def dbt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ("--target", "dev", "--project-dir", PROJECT, "--profiles-dir", PROJECT)
    return processes.run("dbt", *arguments, *where, variables=environment(folder))


def examples() -> list[Thing]:
    """The dumps of the pages of the violation rules: those without a window make two nights."""
    nights: list[Thing] = [
        {"version": "1.0.0", "start_time": start, "end_time": end, **deepcopy(EMPTY)}
        for start, end in pairwise(NIGHTS)
    ]
    dumps = []
    for page in (PROJECT / "models" / "violations.md").read_text("utf-8").split("{% enddocs %}"):
        for night, text in zip(nights, EXAMPLE.findall(page), strict=False):
            example = json.loads(text)
            if "start_time" in example:
                dumps.append({"version": "1.0.0", **example})
                continue
            for name, entries in example.items():
                if isinstance(entries, dict):
                    assert not night[name].keys() & entries.keys()
                    night[name].update(entries)
                else:
                    night[name] += entries
    return [*nights, *dumps]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("docs")
    dumps = [BARE, *examples(), *pages.dumps(FIGURES)]
    paths = [folder / f"{number}.json" for number, _ in enumerate(dumps)]
    for path, dump in zip(paths, dumps, strict=True):
        path.write_text(json.dumps(dump), encoding="utf-8")
    database = DuckDB(Path(environment(folder)["REP_AI_DUCKDB"]))
    report = ingest([str(path) for path in paths], database, schema=RAW_SCHEMA)
    assert len(report.loaded) == len(dumps)
    build = dbt(folder, "build")
    assert build.returncode == 0, build.stdout
    docs = dbt(folder, "docs", "generate", "--static")
    assert docs.returncode == 0, docs.stdout
    manifest, catalog = (
        json.loads((folder / "target" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("manifest", "catalog")
    )
    return Project(folder, database, manifest, catalog, build.stdout)


def test_everything_is_described(project: Project) -> None:
    things = [
        thing
        for thing in project.of_kind(*KINDS)
        # data tests from property files speak by their name, private macros where they stand
        if not thing.get("test_metadata")
        and (thing["resource_type"] != "macro" or thing["patch_path"])
    ]
    assert {thing["resource_type"] for thing in things} == {*KINDS}
    bare = [thing["unique_id"] for thing in things if not (thing["description"] or "").strip()]
    for name, part in (*project.columns(), *project.semantics()):
        if not (part["description"] or "").strip():
            bare.append(name)
    bare += [thing["unique_id"] for thing in project.of_kind(*LABELLED) if not thing["label"]]
    bare += [
        f"{macro['name']}({argument['name']})"
        for macro in project.of_kind("macro")
        for argument in macro["arguments"]
        if not argument["description"].strip() or not argument["type"]
    ]
    assert not bare


def test_listed_columns_are_those_of_the_database(project: Project) -> None:
    found = {**project.catalog["nodes"], **project.catalog["sources"]}
    for thing in project.of_kind("model", "seed", "source"):
        assert list(thing["columns"]) == list(found[thing["unique_id"]]["columns"]), thing["name"]


def test_raw_tables_are_those_that_are_written(project: Project) -> None:
    listed = {
        source["name"]: [*source["columns"]]
        for source in project.of_kind("source")
        if source["name"] != "_dlt_loads"
    }
    assert listed == {
        **{name: [*schema.names, "_dlt_load_id"] for name, schema in TABLES.items()},
        **{name: schema.names for name, schema in WRITTEN.items()},
        "user_agents": RAW_TABLES["user_agents"].names,
    }


def test_what_the_vendor_says_is_text_and_what_we_count_is_not(project: Project) -> None:
    ours = {"file_size": "BIGINT", "_position": "BIGINT"}
    ours["file_modified_at"] = "TIMESTAMP WITH TIME ZONE"
    found = {
        table["metadata"]["name"]: {name: each["type"] for name, each in table["columns"].items()}
        for table in project.catalog["sources"].values()
    }
    for table in TABLES:
        assert found[table] == {
            name: ours.get(name, "BIGINT" if name.endswith("_count") else "VARCHAR")
            for name in found[table]
        }, table


def test_every_field_of_the_vendor_is_read_and_missed(project: Project) -> None:
    query = """
        select entity, record_id from rep_ai.rep_ai__contract_violations
        where rule = 'field_missing' and dump_start_at = epoch_ms($1)
    """
    with project.database.connect() as connection:
        missing = connection.execute(query, [BARE["start_time"]]).fetchall()
    assert sorted(missing) == sorted((c.name, field) for c in COLLECTIONS for field in c.fields)


def test_listed_arguments_are_those_of_the_macro(project: Project) -> None:
    for macro in project.of_kind("macro"):
        if macro["patch_path"]:
            signature = SIGNATURE.search(macro["macro_sql"])
            assert signature is not None, macro["name"]
            names = re.findall(r"(\w+)(?:=[^,]*)?(?:,|$)", signature[1].strip())
            assert names == [argument["name"] for argument in macro["arguments"]], macro["name"]


def test_a_description_is_written_once(project: Project) -> None:
    texts = Counter(
        column["description"] for _, column in project.columns() if not column["doc_blocks"]
    )
    assert not [text for text, count in texts.items() if count > 1]
    used = {block for _, column in project.columns() for block in column["doc_blocks"]}
    used |= {block for model in project.of_kind("model") for block in model["doc_blocks"]}
    blocks = {key for key, doc in project.manifest["docs"].items() if key.startswith("doc.rep_ai.")}
    assert used | {"doc.rep_ai.__rep_ai__"} == blocks


def test_marts_have_an_enforced_contract(project: Project) -> None:
    for mart in project.marts():
        assert mart["contract"]["enforced"], mart["name"]
        untyped = [c["name"] for c in mart["columns"].values() if not c["data_type"]]
        assert not untyped, mart["name"]


def test_each_model_has_the_grain_that_it_names(project: Project) -> None:
    """Tested once: a column by `unique` and `not_null`, what is large or several by our own."""
    grains: dict[str, list[list[str]]] = {
        model["unique_id"]: [] for model in project.of_kind("model")
    }
    known, unique = set(), set()
    for test in project.of_kind("test"):
        model, kind = test.get("attached_node"), (test.get("test_metadata") or {}).get("name")
        if kind == "not_null":
            known.add((model, test["column_name"]))
        elif kind == "unique" and model in grains:
            grains[model].append([test["column_name"]])
            unique.add((model, test["column_name"]))
        elif kind == "rep_ai_unique_grain" and model in grains:
            grains[model].append(test["test_metadata"]["kwargs"]["columns"])
    named = {
        model["unique_id"]: [model["config"]["meta"]["grain"]] for model in project.of_kind("model")
    }
    assert grains == named
    # which passes any number of NULLs
    assert not unique - known


def test_personal_data_is_tagged(project: Project) -> None:
    raw = {
        column["name"]
        for source in project.of_kind("source")
        for column in source["columns"].values()
        if "pii" in column["tags"]
    }
    assert raw == PERSONAL
    assert PERSONAL.issuperset(RENAMED.values())
    personal = PERSONAL.union(RENAMED)
    for name, column in project.columns():
        is_personal = name.rpartition(".")[2] in personal
        tagged = column["config"]["meta"].get("pii") is True and column["tags"] == ["pii"]
        assert is_personal == tagged, name
    for name, part in project.semantics():
        is_personal = (part["expr"] or part["name"]) in personal
        assert is_personal == (part["config"]["meta"].get("pii") is True), name


def test_exposures_show_marts(project: Project) -> None:
    marts = {mart["unique_id"] for mart in project.marts()}
    for exposure in project.of_kind("exposure"):
        assert marts.issuperset(exposure["depends_on"]["nodes"])


def test_the_site_begins_with_what_there_is(project: Project) -> None:
    overview = project.manifest["docs"]["doc.rep_ai.__rep_ai__"]["block_contents"]
    links = LINK.findall(overview)
    assert len(links) == overview.count("](#!/")
    groups = ("nodes", "metrics", "exposures")
    assert {*links} <= {key for group in groups for key in project.manifest[group]}
    wanted = [*project.marts(), *project.of_kind("analysis")]
    assert not [thing["name"] for thing in wanted if thing["unique_id"] not in links]
    site = (project.folder / "target" / "static_index.html").read_text(encoding="utf-8")
    for thing in (*wanted, *project.of_kind("metric")):
        assert thing["unique_id"] in site


def test_each_rule_has_its_page(project: Project) -> None:
    model = project.manifest["nodes"][RULES]
    severities = dict(RULE.findall(model["raw_code"]))
    of_rules = project.pages()
    assert [*severities] == [*of_rules]
    listed = re.findall(r"^\| `(\w+)` \|", model["columns"]["rule"]["description"], re.MULTILINE)
    assert listed == [*severities]
    for rule, page in of_rules.items():
        assert page.strip() in model["description"], rule
        assert page.strip().startswith(f"## {rule}\n\nSeverity `{severities[rule]}`: "), rule
        places = [page.index(part) for part in PARTS]
        assert places == sorted(places), rule
    assert "](../models/violations.md)" in pages.text(FIGURES)


def test_examples_of_rules_are_real(project: Project) -> None:
    query = """
        select
            rule, entity, coalesce(regexp_replace(record_id, '^[0-9a-f]{64}$', '…'), ''),
            regexp_replace(
                regexp_replace(detail, '(delivery|position) [0-9a-f]+', '\\1 …', 'g'),
                'file:[^ ,]+', '…', 'g'
            )
        from rep_ai.rep_ai__contract_violations
    """
    with project.database.connect() as connection:
        rows = connection.execute(query).fetchall()
    examples = {
        rule: [(rule, *row) for row in EXAMPLE_ROW.findall(page) if row[0] != "entity"]
        for rule, page in project.pages().items()
    }
    assert all(examples.values())
    assert not [row for found in examples.values() for row in found if row not in rows], rows


def test_violations_are_said_with_what_to_do(project: Project) -> None:
    for said in (MISSING_FIELD, MISSING_ID, "ask the vendor about these"):
        assert said in project.output


def test_violations_fail_where_a_variable_says_so(project: Project) -> None:
    strict = dbt(
        project.folder,
        *("--quiet", "test", "--select", "rep_ai__contract_violations"),
        *("--vars", "{rep_ai_violation_severity: error}"),
    )
    assert strict.returncode == 1, strict.stdout
    assert MISSING_ID in strict.stdout


@pytest.mark.parametrize("name", pages.NAMES)
def test_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    for path, anchor in pages.links(name):
        assert path.exists(), f"{name}: {path}"
        if anchor:
            assert anchor in pages.anchors(path.read_text(encoding="utf-8")), f"{path}#{anchor}"


@pytest.mark.parametrize("name", pages.NAMES)
def test_pages_name_files_that_exist(name: str) -> None:
    for path in pages.FILE.findall(pages.text(name)):
        assert any(PROJECT.glob(path.rstrip("/"))), path


def test_every_page_is_read_here_and_linked_from_another() -> None:
    found = {f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md")}
    assert found | {"README.md", "CONTRIBUTING.md"} == {*pages.NAMES}
    linked = {path.resolve() for name in pages.NAMES for path, _ in pages.links(name)}
    assert not [name for name in found if (PROJECT / name) not in linked]


def test_pages_are_no_longer_and_no_wider_than_can_be_read() -> None:
    assert len(pages.text("README.md").splitlines()) <= README_LINES
    for name in {*pages.NAMES} - WIDE:
        assert not [line for line in pages.text(name).splitlines() if len(line) > LINE_LENGTH]


def test_a_release_has_notes() -> None:
    done = subprocess.run(
        ["make", "--silent", "release-notes"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("\n### Added\n") and "\n## " not in done.stdout


def test_the_dump_in_the_readme_has_all_that_a_dump_has() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", pages.text("README.md"), re.DOTALL)
    dump = json.loads(block)
    for collection in COLLECTIONS:
        entries = dump[collection.name]
        (entry,) = entries.values() if collection.is_object else entries
        assert {*entry} == {*collection.fields}, collection.name


def test_examples_of_figures_are_real(project: Project) -> None:
    """Each table behind `In` or `Out` is one of them."""
    tables = [*pages.examples(FIGURES, "In"), *pages.examples(FIGURES, "Out")]
    assert len(tables) == pages.text(FIGURES).count("`:\n\n| ") > 1
    with project.database.connect() as connection:
        for mart, wanted in pages.examples(FIGURES, "Out"):
            columns = list(wanted[0])
            rows = connection.execute(f"select {', '.join(columns)} from rep_ai.{mart}").fetchall()
            found = [dict(zip(columns, map(pages.shown, row), strict=True)) for row in rows]
            assert not [row for row in wanted if row not in found], (mart, found)


def test_models_name_the_section_of_their_rule() -> None:
    named = set()
    for path in (PROJECT / "models").rglob("*.sql"):
        for pointer in POINTER.findall(path.read_text(encoding="utf-8")):
            page, _, anchor = pointer.partition("#")
            assert not anchor or anchor in pages.anchors(pages.text(page)), f"{path}: {pointer}"
            named.add(pointer)
    # so do unit tests and the oracle
    for folder, pattern in (("models", "*.yml"), ("tests/python", "*.py")):
        for path in (PROJECT / folder).rglob(pattern):
            for page, anchor in SECTION.findall(path.read_text(encoding="utf-8")):
                assert anchor in pages.anchors(pages.text(page)), f"{path}: {page}#{anchor}"
    rules = pages.anchors("\n".join(f"# {h}" for h in RULE_SECTION.findall(pages.text(FIGURES))))
    assert {f"{FIGURES}#{rule}" for rule in rules - NO_MODEL} <= named


def test_the_site_leads_to_the_pages(project: Project) -> None:
    overview = project.manifest["docs"]["doc.rep_ai.__rep_ai__"]["block_contents"]
    wanted = {name for name in pages.NAMES if name.startswith("docs/")}
    assert wanted <= {*POINTER.findall(overview)}


def test_an_empty_build_passes(project: Project) -> None:
    empty = dbt(project.folder, "--quiet", "build", "--empty")
    assert empty.returncode == 0, empty.stdout
