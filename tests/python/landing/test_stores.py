"""Dumps in real stores on this machine, by the command as a user gives it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
import zstandard

import processes
import stores
from dumps import dump
from stores import STORES, Page, Store, Web

# as far as the stores take them: S3, Azure, Google and sftp all do
ODD_NAMES = (
    "with spaces .json",
    'it\'s "quoted".json',
    "emoji 😀.json",
    "#fragment.json",
    "what?.json",
    "100%25.json",
    "[brackets]*.json",
    "user:password@host.json",
    "a=b&c+d,e.json",
    "semi;colon.json",
)
# what lists, then reads once it is told to
READ_LATER = """
import sys
from rep_ai.landing import errors, fetch, sources
(file,) = sources.find(sys.argv[1:]).files
print("listed", flush=True)
sys.stdin.readline()
try:
    with fetch.decompressed(file) as path:
        print(path.read_bytes().decode())
except errors.SourceError as error:
    print(error)
"""


class Warehouse:
    """A database, and the command that loads into it."""

    def __init__(self, path: Path, environment: dict[str, str], secrets: tuple[str, ...]) -> None:
        """Nothing is there yet."""
        self.path = path
        self.environment = {
            **stores.strangers_environment(),
            **environment,
            "REP_AI_DUCKDB": str(path),
            "REP_AI_TARGET": "dev",
        }
        self.secrets = secrets

    def ingest(self, *sources: str) -> subprocess.CompletedProcess[str]:
        """Run the command; whatever it says, it tells no secret and shows no traceback."""
        done = processes.run("rep-ai", "ingest", *sources, variables=self.environment, apart=True)
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        for secret in self.secrets:
            assert secret not in said, said
        return done

    def gains(self, *sources: str) -> dict[str, list[str]]:
        """What a run that ends well adds to `deliveries`: status -> URLs."""
        before = self.deliveries()
        done = self.ingest(*sources)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        gained: dict[str, list[str]] = {}
        for url, status in self.deliveries()[len(before) :]:
            gained.setdefault(status, []).append(url)
        return gained

    def fails(self, *sources: str) -> str:
        """The one line of a run that fails."""
        done = self.ingest(*sources)
        assert done.returncode == 1, done.stdout + done.stderr
        (line,) = done.stderr.splitlines()
        return line

    def deliveries(self) -> list[tuple[str, str]]:
        """URL and status of all files, the oldest loads first."""
        if not self.path.exists():
            return []
        with duckdb.connect(str(self.path), read_only=True) as connection:
            if not connection.sql("show all tables").fetchall():
                return []
            rows = connection.sql(
                "select file_url, status from rep_ai_raw.deliveries order by rowid"
            ).fetchall()
            users = connection.sql("select distinct id from rep_ai_raw.users").fetchall()
        assert len(users) == 3 * sum(status == "loaded" for _, status in rows)
        for url, _ in rows:
            assert not any(secret in url for secret in self.secrets)
        return [(url, status) for url, status in rows]


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each kind of store, running."""
    with STORES[request.param]() as running:
        yield running


@pytest.fixture
def warehouse(store: Store, tmp_path: Path) -> Warehouse:
    """An empty database, and the way into the store."""
    return Warehouse(tmp_path / "raw.duckdb", store.environment, store.secrets)


def urls_end(gained: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same with the last part of each URL alone."""
    return {
        status: sorted(url.rpartition("/")[2] for url in urls) for status, urls in gained.items()
    }


def test_nights(store: Store, warehouse: Warehouse) -> None:
    """A folder is landed once, and then only what is new in it, whatever its name and age."""
    folder = f"{store.url}/nights"
    store.put("nights/a.json", dump(1))
    store.put("nights/b.json.gz", gzip.compress(dump(2)))
    store.put("nights/2026/c.json.zst", zstandard.compress(dump(3)))
    store.put("nights/readme.txt", b"no dump")
    gained = warehouse.gains(folder)
    assert urls_end(gained) == {"loaded": ["a.json", "b.json.gz", "c.json.zst"]}
    assert all("/nights/" in url for url in gained["loaded"])

    with store.unread():
        assert warehouse.gains(folder) == {}
        assert warehouse.gains(f"{folder}/*.gz", f"{folder}/a.json", f"{folder}/") == {}

    store.put("nights/renamed.json", dump(1))
    store.put("nights/packed.json.gz", gzip.compress(dump(3)))
    assert urls_end(warehouse.gains(folder)) == {"duplicate": ["packed.json.gz", "renamed.json"]}

    store.put("nights/a.json", dump(4, note="another size"))
    assert urls_end(warehouse.gains(folder)) == {"loaded": ["a.json"]}

    store.put("nights/late.json", dump(0))
    if store.touch:
        store.touch("nights/late.json", 1_741_600_000)
    assert urls_end(warehouse.gains(folder)) == {"loaded": ["late.json"]}
    with store.unread():
        assert warehouse.gains(folder) == {}


def test_a_glob_and_a_single_object(store: Store, warehouse: Warehouse) -> None:
    """Each names what it names, and no more."""
    for night in range(4):
        store.put(f"globbed/{night}/dump {night}.json", dump(night))
    url = f"{store.url}/globbed"
    assert urls_end(warehouse.gains(f"{url}/[01]/*.json")) == {
        "loaded": ["dump 0.json", "dump 1.json"]
    }
    assert urls_end(warehouse.gains(f"{url}/2/dump 2.json")) == {"loaded": ["dump 2.json"]}
    assert warehouse.fails(f"{url}/9/*.json").startswith("rep-ai: ")
    assert warehouse.fails(f"{url}/9.json").endswith("no such file or folder")


def test_odd_names(store: Store, warehouse: Warehouse) -> None:
    """A name that a store takes is a name."""
    # the emulator, not Google, cuts off what follows a semicolon
    names = [name for name in ODD_NAMES if ";" not in name or not store.url.startswith("gs:")]
    for night, name in enumerate(names):
        store.put(f"odd/{name}", dump(night))
    assert urls_end(warehouse.gains(f"{store.url}/odd")) == {"loaded": sorted(names)}
    with store.unread():
        assert warehouse.gains(f"{store.url}/odd") == {}


def test_a_store_that_fails(store: Store, tmp_path: Path) -> None:
    """One line each, nothing half visible, no secret told; the next run recovers."""
    store.put("failing/a.json", dump(1))
    cases = {
        "refused": store.refused,
        "missing": (store.missing, store.environment),
        "unreachable": store.unreachable,
    }

    def fails(name: str) -> str:
        url, environment = cases[name]
        warehouse = Warehouse(tmp_path / f"{name}.duckdb", environment, store.secrets)
        line = warehouse.fails(f"{url}/failing")
        assert warehouse.deliveries() == []
        recovered = Warehouse(warehouse.path, store.environment, store.secrets)
        assert urls_end(recovered.gains(f"{store.url}/failing")) == {"loaded": ["a.json"]}
        return line

    # they wait rather than work
    with ThreadPoolExecutor() as threads:
        lines = dict(zip(cases, threads.map(fails, cases), strict=True))
    for line in lines.values():
        assert line.startswith("rep-ai: ") and len(line) < 400
    assert "failing" in lines["missing"]


def test_a_file_replaced_after_it_was_listed(store: Store, tmp_path: Path) -> None:
    """What is read then is not what the ledger would say of it."""
    store.put("replaced/a.json", dump(1))
    environment = Warehouse(tmp_path / "no.duckdb", store.environment, ()).environment
    with subprocess.Popen(
        [sys.executable, "-c", READ_LATER, f"{store.url}/replaced"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout
        assert reader.stdout.readline() == "listed\n"
        store.put("replaced/a.json", dump(2, note="another size"))
        said, _ = reader.communicate("go\n")
    assert said.endswith("a.json: it changed while it was read; run again\n")


def test_one_object_that_cannot_be_read(store: Store, warehouse: Warehouse) -> None:
    """The others load; the next run gets it."""
    if store.lock is None:
        pytest.skip("this server has no way to refuse a single object")
    for night in range(3):
        store.put(f"locked/{night}.json", dump(night))
    with store.lock("locked/1.json"):
        line = warehouse.fails(f"{store.url}/locked")
    assert line.startswith("failed ") and "locked/1.json: " in line
    assert len(warehouse.deliveries()) == 2
    assert urls_end(warehouse.gains(f"{store.url}/locked")) == {"loaded": ["1.json"]}


# ---------------------------------------------------------------------------------------------- web


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """A web server."""
    with stores.web() as running:
        yield running


@pytest.fixture
def web_warehouse(web: Web, tmp_path: Path) -> Warehouse:
    """An empty database, and trust in the server's certificate."""
    environment = {"SSL_CERT_FILE": str(web.authority), "HOME": str(tmp_path)}
    return Warehouse(
        tmp_path / "raw.duckdb",
        environment,
        (stores.SECRET, "pass word", "pass%20", quote(stores.SECRET, "")),
    )


@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page(web: Web, web_warehouse: Warehouse, scheme: str, has_length: bool) -> None:
    """A single file, read again only where its headers tell of a change, or of nothing."""
    base = getattr(web, scheme)
    path = f"/{scheme}/{has_length}/dump%20%23.json"
    url = f"{base}{path}"
    dated = {"Last-Modified": formatdate(1_741_900_000, usegmt=True)}
    web.pages[path] = Page(gzip.compress(dump(1)), headers=dated, has_length=has_length)
    assert web_warehouse.gains(url) == {"loaded": [url]}
    web.gets.clear()
    assert web_warehouse.gains(url) == {}
    assert has_length is (web.gets == [])

    dated = {"Last-Modified": formatdate(1_741_800_000, usegmt=True)}
    web.pages[path] = Page(dump(2), headers=dated, has_length=has_length)
    assert web_warehouse.gains(url) == {"loaded": [url]}
    web.pages[path] = Page(dump(3), has_length=has_length)
    assert web_warehouse.gains(url) == {"loaded": [url]}
    web.pages[path] = Page(dump(4), has_length=has_length)
    assert web_warehouse.gains(url) == {"loaded": [url]}
    assert web_warehouse.gains(url) == {}


def test_secrets_of_a_page(web: Web, web_warehouse: Warehouse) -> None:
    """User, password and query open it, and are written nowhere."""
    path = f"/private/dump.json?sig={stores.SECRET}"
    web.pages[path] = Page(dump(1), credentials="user:pass word")
    host = web.https.removeprefix("https://")
    gained = web_warehouse.gains(f"https://user:pass%20word@{host}{path}")
    (url,) = gained["loaded"]
    assert url.startswith(f"{web.https}/private/dump.json?")
    escaped = quote(stores.SECRET, "")
    # not the digits alone, which a port may hold
    assert ": 401, " in web_warehouse.fails(f"https://user:{escaped}@{host}{path}")
    assert ": 401, " in web_warehouse.fails(f"{web.https}{path}")
    assert "this is no URL" in web_warehouse.fails(f"https://user:{stores.SECRET}/x@{host}{path}")
    assert "this is no URL" in web_warehouse.fails(f"sftp://user:{stores.SECRET}/x@{host}")


def test_a_page_that_fails(web: Web, web_warehouse: Warehouse) -> None:
    """One line each, and the next run recovers."""
    path = "/failing.json"
    url = f"{web.https}{path}"
    web.pages.pop(path, None)
    assert web_warehouse.fails(url).startswith(f"rep-ai: {url}: 404")
    for status in (403, 500):
        web.pages[path] = Page(b"", status)
        assert f": {status}, " in web_warehouse.fails(url)
    web.pages[path] = Page(dump(1), stops_after=20)
    assert web_warehouse.fails(url).startswith(f"failed {url}: ")
    assert "certificate" in Warehouse(web_warehouse.path, {"SSL_CERT_FILE": "/dev/null"}, ()).fails(
        url
    )
    assert web_warehouse.deliveries() == []
    web.pages[path] = Page(dump(1))
    assert web_warehouse.gains(url) == {"loaded": [url]}
    unreachable = f"http://127.0.0.1:{stores.free_port()}/x.json"
    assert web_warehouse.fails(unreachable).startswith(f"rep-ai: {unreachable}: ")
