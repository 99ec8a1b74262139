"""Where files are found, and how they come to disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest
import zstandard
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from dumps import dump
from rep_ai.landing import fetch, sources
from rep_ai.landing.errors import BrokenError, ChangedError, SourceError
from rep_ai.landing.fetch import decompressed

TEXT = b'{"some": "text"}' * 1000

ODD_NAMES = (
    'it\'s "quoted".json',
    "semi;colon.json",
    "line\nbreak\r.json",
    "emoji 😀.json",
    "[brackets].json",
    "[a-z]*?.json",
    " spaces  .json",
    "#fragment.json",
    "what?.json",
    "100%25.json",
    "~tilde.json",
    "$HOME.json",
    "-dash.json",
    "back\\slash.json",
    "zip::inner.json",
    "user:password@host.json",
    "file:x.json",
)


def find(source_list: list[str], *patterns: Sequence[str]) -> list[sources.SourceFile]:
    """The files of some sources."""
    return sources.find(source_list, *patterns).files


def names(found: list[sources.SourceFile]) -> list[str]:
    """The last parts of the paths."""
    return [Path(file.path).name for file in found]


def write(path: Path, content: bytes = TEXT) -> Path:
    """A file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def content(file: sources.SourceFile, max_bytes: int = 1 << 30) -> bytes:
    """What a file holds once it is decompressed."""
    with decompressed(file, max_bytes) as path:
        return path.read_bytes()


def failure(source: str) -> str:
    """Why a source is refused, in one line."""
    with pytest.raises(SourceError) as caught:
        find([source])
    assert str(caught.value).isprintable()
    return str(caught.value)


# -------------------------------------------------------------------------------------- local files


def test_a_folder(tmp_path: Path) -> None:
    """A folder means the files below it whose names fit a pattern."""
    for name in ("b.json", "a/c.json.gz", "a/b/d.json.zst", "e.txt", "f.JSON", "g.json.bak"):
        write(tmp_path / name)
    write(tmp_path / "h.Json.GZ")
    (tmp_path / "folder.json").mkdir()
    write(tmp_path / "folder.json" / "inside.json")
    found = find([str(tmp_path)])
    assert [Path(file.path).relative_to(tmp_path).as_posix() for file in found] == [
        *("a/b/d.json.zst", "a/c.json.gz", "b.json", "f.JSON", "folder.json/inside.json"),
        "h.Json.GZ",
    ]
    assert [file.url for file in found] == sorted(f"file://{file.path}" for file in found)
    assert names(find([str(tmp_path) + "/"], ["*.txt", "f.*"])) == ["e.txt", "f.JSON"]
    # a pattern of the user's is meant as it stands
    assert "h.Json.GZ" not in names(find([str(tmp_path)], ["*.json*"]))


# names of what lies beside dumps, and whether they are passed over with a word
BESIDE = {
    **dict.fromkeys(("d.json.zip", "d.tar.gz", "d.ndjson", "d.json.bz2", "d.jsonl.gz"), True),
    **dict.fromkeys(("d", "d.json.", "d.json.part", "README.txt", "_d", "sub/d.xml"), True),
    **dict.fromkeys(("._d.json", "sub/._d.json.gz", ".DS_Store", "_SUCCESS", "d.json.crc"), False),
    **dict.fromkeys((".d.json.crc", "Thumbs.db", ".gitkeep", "tmp_$folder$", "_started_1"), False),
}


@pytest.mark.parametrize("source", ["", "/", "/*", "memory"])
def test_what_lies_beside_dumps(tmp_path: Path, memory: MemoryFileSystem, source: str) -> None:
    """What no pattern takes is told; what is known as no dump is counted."""
    for name in ("a.json", ".b.json", *BESIDE):
        write(tmp_path / name)
        memory.pipe_file(f"/b/{name}", TEXT)
    url = "memory:///b" if source == "memory" else f"file://{tmp_path}"
    found = sources.find(["memory://b" if source == "memory" else str(tmp_path) + source])
    if source == "/*":
        # what a glob names counts
        passed_over, others = {"sub/d.xml"}, {name for name, told in BESIDE.items() if told}
        assert {file.url for file in found.files} == {
            f"{url}/{name}" for name in ("a.json", *others - passed_over)
        }
    else:
        passed_over = {name for name, told in BESIDE.items() if told}
        assert names(found.files) == [".b.json", "a.json"]
        assert found.not_dumps == {f"{url}/{name}" for name in BESIDE.keys() - passed_over}
    assert found.passed_over == {f"{url}/{name}" for name in passed_over}


def test_what_another_source_names(tmp_path: Path) -> None:
    """A file that is named, whatever its name, is not passed over."""
    for name in ("a.json", "b.zip", "._c.json"):
        write(tmp_path / name)
    found = sources.find([str(tmp_path), f"{tmp_path}/b.zip", f"{tmp_path}/._c.json"])
    assert names(found.files) == ["._c.json", "a.json", "b.zip"]
    assert found.passed_over == set()


def test_what_a_listing_covers(tmp_path: Path, memory: MemoryFileSystem) -> None:
    """Whether a file would be listed if it were there; it is asked of files that are not."""
    for name in ("2026-01/a.json", "2026-02/b.json", "x.txt"):
        write(tmp_path / name)
        memory.pipe_file(f"/b/{name}", TEXT)
    for source, url in ((str(tmp_path), f"file://{tmp_path}"), ("memory://b", "memory:///b")):
        for form, patterns, covered, others in (
            (
                "",
                sources.PATTERNS,
                "c.json 2026-03/c.json ._c.json 2026-01/C.JSON",
                "c.txt ../c.json",
            ),
            ("/", ["*.d", "*.json"], "c.d 2026-01/c.d ._c.json", "c.JSON"),
            (
                "/2026*",
                sources.PATTERNS,
                "2026-03/c.json 2026-03/d/c.json 2026.txt",
                "c.json 2025/c.json",
            ),
            (
                "/*/*.json",
                sources.PATTERNS,
                "2026-03/c.json",
                "c.json 2026-03/d/c.json 2026-01/c.d",
            ),
            ("/**/*.json", sources.PATTERNS, "2026-03/c.json 2026-03/d/c.json", "2026-01/c.d"),
            ("/x.txt", sources.PATTERNS, "x.txt", "c.json y.txt"),
        ):
            found = sources.find([source + form], patterns)
            for name in covered.split():
                assert found.covers(f"{url}/{name}"), (form, name)
            for name in others.split():
                whole = f"{url}/{name}" if name[:2] != ".." else f"{url}-other/c.json"
                assert not found.covers(whole), (form, name)


def test_what_a_file_says(tmp_path: Path) -> None:
    """Size and modification time as the store has them, the time in UTC without zone."""
    path = write(tmp_path / "any.name")
    os.utime(path, ns=(0, 1_741_500_000_123_456_000))
    (file,) = find([str(path)])
    assert (file.size, file.modified_at) == (len(TEXT), datetime(2025, 3, 9, 6, 0, 0, 123456))
    assert file.url == f"file://{path}" and file.is_local


def test_relative_and_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a file is named, it comes once, by its whole path."""
    path = write(tmp_path / "d" / "a.json")
    monkeypatch.chdir(tmp_path)
    for same in (
        *("d/a.json", "./d/a.json", "d", "d/", ".", "*", "**/*.json", "d/[a].json", "d/?.json"),
        *(f"file://{path}", f"file:{path}", f"local://{path}", str(path), f"file://{tmp_path}/*"),
    ):
        (file,) = find([same, str(path)])
        assert file.url == f"file://{path}", same
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(find(["~/d"])) == ["a.json"]


def test_globs(tmp_path: Path) -> None:
    """Files that a glob names count whatever their names; in folders the patterns hold."""
    for name in ("2026-01/a.json", "2026-01/b.txt", "2026-02/c.json", "2025/d.json", "2026.dump"):
        write(tmp_path / name)
    assert names(find([f"{tmp_path}/2026*"])) == ["a.json", "c.json", "2026.dump"]
    assert names(find([f"{tmp_path}/*/?.*"])) == ["d.json", "a.json", "b.txt", "c.json"]
    assert "no dump file" in failure(f"{tmp_path}/2027*")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A name that exists is meant as it stands."""
    path = write(tmp_path / name / name)
    monkeypatch.chdir(path.parent)
    for source in (str(path), str(path.parent), str(tmp_path), name, "*", f"file://{path}"):
        (file,) = find([source])
        assert file.url == f"file://{path}"
        assert content(file) == TEXT


def test_names_like_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local path may look like a URL."""
    path = write(tmp_path / "s3:" / "bucket" / "a.json")
    monkeypatch.chdir(tmp_path)
    (file,) = find(["s3://bucket/a.json"])
    assert file.is_local and Path(file.path).samefile(path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Such a name is escaped, and both of two that look the same then are read."""
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path / "latin") + b"\xe9.json"))
        write(path, b"1")
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    write(tmp_path / r"latin\udce9.json", b"2")
    found = find([str(tmp_path)])
    assert {file.url for file in found} == {rf"file://{tmp_path}/latin\udce9.json"}
    assert sorted(map(content, found)) == [b"1", b"2"]
    assert content(find([str(path)])[0]) == b"1"
    path.unlink()
    assert r"latin\udce9.json: no such file" in failure(str(path))


def test_links(tmp_path: Path) -> None:
    """Links are followed, those to folders too, but never round in circles."""
    target = write(tmp_path / "elsewhere" / "target.bin")
    os.utime(target, (1_741_500_000, 1_741_500_000))
    folder = tmp_path / "folder"
    write(folder / "a.json")
    (folder / "link.json").symlink_to(target)
    (folder / "round").symlink_to(folder)
    (folder / "there").symlink_to(tmp_path / "more")
    write(tmp_path / "more" / "b.json")
    (tmp_path / "more" / "back").symlink_to(folder)
    found = find([str(folder)])
    assert names(found) == ["a.json", "link.json", "b.json"]
    assert found[1].url == f"file://{folder}/link.json"
    # a link that leads to other content is another state
    assert (found[1].size, found[1].modified_at) == (len(TEXT), datetime(2025, 3, 9, 6))
    (tmp_path / "short").symlink_to(folder)
    assert names(find([str(tmp_path / "short")])) == names(found)


def test_dangling_link(tmp_path: Path) -> None:
    """A link that leads nowhere is one file that cannot be read."""
    (tmp_path / "a.json").symlink_to(tmp_path / "nowhere")
    (file,) = find([str(tmp_path)])
    assert (file.size, file.modified_at) == (None, None)
    with pytest.raises(SourceError, match="no such file or folder"):
        content(file)


def test_no_files(tmp_path: Path) -> None:
    """A pipe is no file; nothing at all is an error."""
    assert "no dump file here (looked for *.json," in failure(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.json")
    assert "no dump file" in failure(str(tmp_path))
    assert "no dump file" in failure(str(tmp_path / "pipe.json"))
    assert "no dump file" in failure("/dev/null")
    assert failure(str(tmp_path / "a\nb")) == f"{tmp_path}/a\\nb: no such file or folder"
    assert failure("") == "'': no such file or folder"
    assert failure("a\0b") == "a\\x00b: no such file or folder"
    with pytest.raises(SourceError):
        find([str(write(tmp_path / "a.json")), str(tmp_path / "missing")])


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not pass for an empty one."""
    write(tmp_path / "a.json")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert failure(str(tmp_path)).endswith("Permission denied")


def test_a_file_that_changes(tmp_path: Path) -> None:
    """What changed while it was read does not count; what took its place does no harm."""
    path = write(tmp_path / "a.json")
    (file,) = find([str(path)])
    with (
        pytest.raises(ChangedError, match="changed while it was read; run again"),
        decompressed(file),
    ):
        path.write_bytes(TEXT[:-1])
    # what is read now is not the state that the ledger would know
    with pytest.raises(SourceError, match="changed since it was listed"), decompressed(file):
        pass
    (file,) = find([str(path)])
    with decompressed(file) as document:
        write(tmp_path / "b.json", b"new").replace(path)
        assert document.read_bytes() == b"new"  # by its name; what is mapped by then stays
    (file,) = find([str(path)])
    with pytest.raises(ZeroDivisionError), decompressed(file):
        path.write_bytes(b"")
        _ = 1 / 0


# -------------------------------------------------------------------------------------- compression


def zstd(data: bytes, **options: Any) -> bytes:
    """One frame."""
    return zstandard.ZstdCompressor(**options).compress(data)


UNREADABLE: tuple[Any, ...] = (1e300, float("nan"), "yesterday", "a, b", None, [], "")
SKIPPED = b"\x5f\x2a\x4d\x18\x04\x00\x00\x00skip"
SOUND = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "members": gzip.compress(TEXT[:100]) + gzip.compress(b"") + gzip.compress(TEXT[100:]),
    "padded": gzip.compress(TEXT) + bytes(1000),
    "zstd": zstd(TEXT),
    "frames": zstd(TEXT[:100]) + zstd(b"") + zstd(TEXT[100:], write_checksum=True),
    "skipped": SKIPPED + zstd(TEXT[:100]) + SKIPPED + zstd(TEXT[100:]) + SKIPPED,
    "no size": zstd(TEXT, write_content_size=False, level=19),
}


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst", "a"])
@pytest.mark.parametrize("packed", SOUND.values(), ids=SOUND)
def test_compression_is_told_by_content(tmp_path: Path, name: str, packed: bytes) -> None:
    """Never by the name."""
    (file,) = find([str(write(tmp_path / name, packed))])
    assert content(file) == TEXT


def test_empty_files(tmp_path: Path) -> None:
    """Nothing, compressed or not, is nothing."""
    for packed in (b"", gzip.compress(b""), zstd(b"")):
        (file,) = find([str(write(tmp_path / "a.json", packed))])
        assert content(file) == b""


def damaged() -> Iterator[bytes]:
    """Compressed files with something wrong."""
    noise = bytes(i * 7919 % 251 for i in range(200))
    for whole in (gzip.compress(noise), zstd(noise), zstd(noise, write_checksum=True)):
        yield from (whole[:length] for length in range(4, len(whole)))
        yield whole + b"trailing"
        yield whole + whole[:-1]
        yield whole + whole[:6]
        yield whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:] + whole
    yield gzip.compress(noise)[:3] + b"\xff"


def test_damage(tmp_path: Path) -> None:
    """A file cut off anywhere, or altered, is told from a whole one."""
    for number, packed in enumerate(damaged()):
        (file,) = find([str(write(tmp_path / f"{number}.json", packed))])
        try:
            content(file)
        except BrokenError as error:
            assert str(error).startswith("cannot be decompressed, ")
            assert str(error).endswith("; ask for the dump again") and str(error).isprintable()
            assert error.digest == hashlib.sha256(packed).hexdigest()
        else:
            # without a checksum nothing tells of one flipped bit
            assert packed.startswith(b"\x28\xb5\x2f\xfd") and len(packed) > 300


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_too_large(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """A limit holds for the decompressed bytes."""
    (file,) = find([str(write(tmp_path / "a.json", pack(TEXT)))])
    assert content(file, len(TEXT)) == TEXT
    with pytest.raises(BrokenError, match="larger than 15,999 bytes; raise --max-bytes") as caught:
        content(file, len(TEXT) - 1)
    assert caught.value.digest == hashlib.sha256(pack(TEXT)).hexdigest()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What swells without end is given up at the limit, and takes little memory."""
    zeros, packed = bytes(1 << 20), io.BytesIO()
    opened = (
        gzip.GzipFile(fileobj=packed, mode="wb")
        if kind == "gzip"
        else zstandard.ZstdCompressor().stream_writer(packed, closefd=False)
    )
    with opened as bomb:
        for _ in range(500):
            bomb.write(zeros)
    (file,) = find([str(write(tmp_path / "a.json", packed.getvalue()))])
    blocks = []
    write_blocks = fetch._write

    def measured(chunks: Iterator[bytes], *arguments: Any) -> None:
        def measure() -> Iterator[bytes]:
            for block in chunks:
                blocks.append(len(block))
                yield block

        write_blocks(measure(), *arguments)

    monkeypatch.setattr(fetch, "_write", measured)
    with pytest.raises(BrokenError, match="larger than"):
        content(file, 100 << 20)
    assert sum(blocks) <= 300 << 20 and max(blocks) <= 200 << 20


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files are removed, and nobody else can read them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (file,) = find([str(write(tmp_path / "a.json", gzip.compress(TEXT)))])
    with decompressed(file) as path:
        assert path.parent == scratch
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BrokenError):
        content(file, 10)
    assert not list(scratch.iterdir())


REP_AI = str(Path(sys.executable).with_name("rep-ai"))


def ingest(folder: Path, database: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [REP_AI, "ingest", str(folder)],
        env={**os.environ, "REP_AI_DUCKDB": str(database), "REP_AI_TARGET": "dev", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def nights(database: Path) -> list[str]:
    """Of which nights the users were landed."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.sql("select id from rep_ai_raw.users order by id").fetchall()
    return sorted({row[0].partition("-")[0] for row in found})


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 4 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "rep_ai_test", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk takes the right to mount one: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="mounts a small disk, as Linux does")
def test_disk_full(tmp_path: Path) -> None:
    """One clear line, the files that fit are loaded, and the next run loads the other."""
    dumps, small, database = (tmp_path / name for name in ("dumps", "small", "raw.duckdb"))
    small.mkdir()
    write(dumps / "1.json.gz", gzip.compress(dump(1)))
    large = write(dumps / "2.json.zst", zstd(dump(2, note="x" * (8 << 20))))
    write(dumps / "3.json", dump(3))
    with small_disk(small):
        with ingest(dumps, database, TMPDIR=str(small)) as process:
            _, said = process.communicate()
        assert process.returncode == 1
        place = rf"{re.escape(str(small))}/rep_ai_work_\w+"
        assert re.fullmatch(
            rf"failed file://{re.escape(str(large))}: No space left on device in {place} "
            r"\(TMPDIR names another folder\)\n",
            said,
        )
        assert not list(small.glob("rep_ai_*"))
    assert nights(database) == ["1", "3"]
    with ingest(dumps, database) as process:
        _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
    assert nights(database) == ["1", "2", "3"]


def test_a_file_that_is_too_large_to_write(tmp_path: Path) -> None:
    """A limit on file sizes is told like a full disk."""
    (file,) = find([str(write(tmp_path / "a.json", gzip.compress(bytes(4 << 20))))])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(SourceError, match=r"File too large in .* \(TMPDIR names another"):
            content(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at what Linux has mapped")
def test_a_file_truncated_while_it_is_read(tmp_path: Path) -> None:
    """The system ends the run, nothing is half visible, and the next run recovers."""
    dumps, database = tmp_path / "dumps", tmp_path / "raw.duckdb"
    path = write(dumps / "1.json", dump(1, actions=[{"id": str(i)} for i in range(2_000_000)]))
    with ingest(dumps, database) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while str(path) not in maps.read_text():
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGSTOP)
        os.truncate(path, 10)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate()
    assert (process.returncode, said) == (-signal.SIGBUS, "")
    write(path, dump(2))
    with ingest(dumps, database) as process:
        _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
    assert nights(database) == ["2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_permission_denied(tmp_path: Path) -> None:
    """On a file: one line, and the others load. On a folder: nothing passes for an empty one."""
    forbidden = write(tmp_path / "dumps" / "1.json", dump(1))
    write(tmp_path / "dumps" / "2.json", dump(2))
    database = tmp_path / "raw.duckdb"
    forbidden.chmod(0)
    with ingest(tmp_path / "dumps", database) as process:
        _, said = process.communicate()
    assert (process.returncode, said) == (1, f"failed file://{forbidden}: Permission denied\n")
    forbidden.parent.chmod(0)
    try:
        with ingest(tmp_path / "dumps", database) as process:
            _, said = process.communicate()
    finally:
        forbidden.parent.chmod(0o700)
    assert (process.returncode, said.endswith("Permission denied\n")) == (1, True)
    forbidden.chmod(0o600)
    with ingest(tmp_path / "dumps", database) as process:
        process.communicate()
    assert process.returncode == 0
    assert nights(database) == ["1", "2"]


# ------------------------------------------------------------------------------------- other stores


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """A store that is not local."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def test_a_store(memory: MemoryFileSystem) -> None:
    """Files, folders and globs, and files are brought to disk first."""
    for name in ("/b/n/1.json", "/b/n/2.json.gz", "/b/other.txt", "/b/a#b?c %;[1].json"):
        memory.pipe_file(name, gzip.compress(TEXT) if name.endswith("gz") else TEXT)
    found = find(["memory://b"])
    assert [file.url for file in found] == [
        "memory:///b/a#b?c %;[1].json",
        *("memory:///b/n/1.json", "memory:///b/n/2.json.gz"),
    ]
    assert [content(file) for file in found] == [TEXT] * 3
    assert found[1].size == len(TEXT) and isinstance(found[1].modified_at, datetime)
    assert names(find(["memory://b/n/*"])) == ["1.json", "2.json.gz"]
    assert names(find(["memory://*/n"])) == ["1.json", "2.json.gz"]
    assert names(find(["memory://b/other.txt"])) == ["other.txt"]
    assert names(find(["memory://b/a#b?c %;[1].json"])) == ["a#b?c %;[1].json"]
    assert failure("memory://b/none.json") == "memory://b/none.json: no such file or folder"
    assert "no dump file" in failure("memory://b/none*")


def test_a_store_that_fails(memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong is said, without the credentials that a message may hold."""
    memory.pipe_file("/b/n/1.json", TEXT)
    found = find(["memory://b"])
    url = "https://user:secret@host/path?signature=secret"

    def fails(*_: Any, **__: Any) -> None:
        raise ConnectionError(f"cannot reach {url!r},\n  again: {url}")

    monkeypatch.setattr(MemoryFileSystem, "get_file", fails)
    with pytest.raises(SourceError) as caught:
        content(found[0])
    assert str(caught.value).startswith("memory:///b/n/1.json: cannot reach 'https://host/path")
    assert "secret" not in str(caught.value) and str(caught.value).isprintable()
    # as most stores list a folder
    monkeypatch.setattr(MemoryFileSystem, "find", AbstractFileSystem.find)
    assert names(find(["memory://b"])) == ["1.json"]
    monkeypatch.setattr(MemoryFileSystem, "ls", fails)
    assert "cannot reach" in failure("memory://b")
    monkeypatch.setattr(MemoryFileSystem, "info", fails)
    assert "cannot reach" in failure("memory://b/*.json")


def test_a_store_that_does_not_answer(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up in time, at first contact and when file after file fails."""
    for number in range(3):
        memory.pipe_file(f"/b/{number}.json", TEXT)
    found = find(["memory://b"])
    tried = []

    def fails(_: Any, path: str, *__: Any, **___: Any) -> None:
        tried.append(path)
        time.sleep(0.2)
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "_PATIENCE_SECONDS", 0.1)
        patch.setattr(MemoryFileSystem, "get_file", fails)
        for file, said in zip(found, ("gone", "not tried", "not tried"), strict=True):
            with pytest.raises(SourceError, match=said):
                content(file)
    assert tried == ["/b/0.json"]
    assert [content(file) for file in found] == [TEXT] * 3

    monkeypatch.setattr(sources, "_CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: time.sleep(1))
    assert "no answer within 0.1 seconds" in failure("memory://b")


@pytest.mark.parametrize(
    "source",
    [
        "https://bob:p@ss/w#rd@127.0.0.1:1/x.json?sig=secret",
        "https://bob:hun/ter2@127.0.0.1:1/x.json",
        "s3://AKIA:hunter2@bucket/x.json",
        "simplecache::s3://AKIA:hunter2@bucket/x.json",
    ],
)
def test_secrets_where_none_belong(source: str) -> None:
    """A URL that a driver would take apart in another place is refused without a word of it."""
    said = failure(source)
    assert not any(part in said for part in ("p@ss", "ter2", "rd@", "AKIA", "127", "bucket/"))


def test_an_unknown_store() -> None:
    """A protocol that nobody knows, or whose package is missing."""
    assert "nonsense" in failure("nonsense://user:secret@bucket/a.json")
    assert "secret" not in failure("nonsense://user:secret@bucket/a.json?token=secret")
    assert failure("nonsense://[bucket/a.json").startswith("nonsense://[bucket/a.json: ")
    assert failure("nonsense://a::https://u:secret@b").startswith("nonsense://a::https://b: ")


def test_a_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries are two files; neither credentials nor query are kept."""
    infos = {"1": {"Last-Modified": "Sun, 09 Mar 2025 06:00:00 GMT"}, "2": {"ETag": "x"}}

    def info(_: Any, url: str, **__: Any) -> dict[str, Any]:
        if url[-1] not in infos:
            raise FileNotFoundError(url) from PermissionError(f"403, url={url!r}")
        return {"name": url, "size": None, "type": "file", **infos[url[-1]]}

    monkeypatch.setattr(HTTPFileSystem, "info", info, raising=False)
    address = "https://user:secret@example.com/dump.json?token=secret"
    first, second = find([address + "1", address + "2"])
    if first.modified_at is None:
        first, second = second, first
    assert (first.modified_at, second.modified_at) == (datetime(2025, 3, 9, 6), None)
    for file in (first, second):
        assert file.url.startswith("https://example.com/dump.json?") and "secret" not in file.url
    assert first.url != second.url
    said = failure(address + "3")
    assert "403" in said and "secret" not in said and "user" not in said


def test_archives(tmp_path: Path) -> None:
    """A file in an archive is told from its namesake in another."""
    for night in ("1", "2"):
        with zipfile.ZipFile(tmp_path / f"{night}.zip", "w") as archive:
            archive.writestr("dump.json", TEXT + night.encode())
    found = find([f"zip://*.json::file://{tmp_path}/{night}.zip" for night in ("1", "2")])
    assert [file.url for file in found] == [
        f"zip://dump.json::file://{tmp_path}/{night}.zip" for night in ("1", "2")
    ]
    assert [content(file) for file in found] == [TEXT + b"1", TEXT + b"2"]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1_741_500_000, datetime(2025, 3, 9, 6)),
        (1_741_500_000.5, datetime(2025, 3, 9, 6, 0, 0, 500_000)),
        (-1, datetime(1969, 12, 31, 23, 59, 59)),
        ("2025-03-09T06:00:00Z", datetime(2025, 3, 9, 6)),
        ("2025-03-09T00:00:00-06:00", datetime(2025, 3, 9, 6)),
        ("Sun, 09 Mar 2025 06:00:00 GMT", datetime(2025, 3, 9, 6)),
        *((unread, None) for unread in UNREADABLE),
    ],
)
def test_times_of_stores(value: Any, moment: datetime | None) -> None:
    """Whatever a store says."""
    assert sources.moment(value) == moment
