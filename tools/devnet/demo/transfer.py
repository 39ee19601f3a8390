"""A real file over three hops: an ordinary web server at one end, curl at the other."""

import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.errors import ProgramMissingError

FILE_BYTES = 64 * 2**20
CHUNK_BYTES = 2**20
FETCH_TIMEOUT_S = 90


@dataclass(frozen=True, slots=True)
class Fetch:
    """One download as curl measured it.

    Attributes:
        status: HTTP status.
        size_bytes: bytes received.
        connect_s: until the SOCKS port had connected the stream.
        first_byte_s: until the first byte of the answer.
        total_s: until the last.
        sha256: of what was received.
    """

    status: int
    size_bytes: int
    connect_s: float
    first_byte_s: float
    total_s: float
    sha256: str

    @property
    def rate(self) -> float:
        """Bytes a second over the whole download."""
        return self.size_bytes / self.total_s if self.total_s else 0.0


def random_file(path: Path, size: int = FILE_BYTES) -> str:
    """Write `size` random bytes and return their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for start in range(0, size, CHUNK_BYTES):
            chunk = secrets.token_bytes(min(CHUNK_BYTES, size - start))
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def curl_program() -> str:
    """Path of curl.

    Raises:
        ProgramMissingError: it is not installed.
    """
    found = shutil.which("curl")
    if found is None:
        raise ProgramMissingError("curl is missing", try_=("apt-get install curl",))
    return found


def fetch(
    url: str, proxy: str, target: Path, *, label: str = "", options: Sequence[str] = ()
) -> Fetch:
    """Download `url` with curl through the client, names resolved at the exit.

    Args:
        url: what to fetch.
        proxy: `host:port` of the client's SOCKS port, or the URL of its HTTP proxy.
        target: where to write it.
        label: SOCKS user name, so that the download gets a circuit of its own.
        options: more words for curl.

    Raises:
        CheckFailedError: curl failed; carries its words.
    """
    user = ("--proxy-user", f"{label}:x") if label else ()
    door = proxy if "://" in proxy else f"socks5h://{proxy}"
    argv = [curl_program(), "-sS", "--fail", "--proxy", door, *user, *options]
    argv += ["-o", str(target), "-w", "%{json}", "--max-time", str(FETCH_TIMEOUT_S), url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckFailedError(
            f"curl could not fetch {url}", why=f"status {done.returncode}: {done.stderr.strip()}"
        )
    told = json.loads(done.stdout)
    return Fetch(
        status=int(told["http_code"]),
        size_bytes=int(told["size_download"]),
        connect_s=float(told["time_connect"]),
        first_byte_s=float(told["time_starttransfer"]),
        total_s=float(told["time_total"]),
        sha256=sha256_of(target),
    )
