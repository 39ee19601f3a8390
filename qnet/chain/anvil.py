"""The embedded chain: anvil, found, started, awaited and stopped.

It is a development chain with chain id 31337. Accounts start empty: whoever starts it hands out
coins with `EmbeddedChain.set_balance`, so nobody depends on keys that the whole world knows.
"""

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qnet.address import checksum_address
from qnet.chain.client import ChainClient
from qnet.chain.errors import AnvilMissingError, AnvilStartError
from qnet.errors import UsageError
from qnet.parameters import DEVNET_CHAIN_ID

HOST: Final = "127.0.0.1"
FORBIDDEN_PORT: Final = 8545
"""Brownie attaches to whatever listens there."""
START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 5.0
ENVIRONMENT: Final = "QNET_ANVIL"
_POLL_S: Final = 0.05
_TAIL_BYTES: Final = 2000


def find_anvil(root: Path | None = None) -> Path:
    """Find the program: `QNET_ANVIL`, then npm's packages, then PATH.

    Args:
        root: folder that holds `node_modules`; the repository by default.

    Raises:
        AnvilMissingError: it is nowhere.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise AnvilMissingError(f"{ENVIRONMENT} names {named}, which is no program")
    modules = (root or Path(__file__).parents[2]) / "node_modules"
    for candidate in (modules / ".bin/anvil", modules / _platform_package() / "bin/anvil"):
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("anvil")
    if found:
        return Path(found)
    raise AnvilMissingError(
        "anvil, the embedded chain, is not installed",
        why=f"looked at {ENVIRONMENT}, in {modules} and on PATH",
        try_=("npm ci", f"{ENVIRONMENT}=/path/to/anvil"),
    )


def _platform_package() -> str:
    """Name of the npm package with the program for this machine."""
    system = {"Windows": "win32"}.get(platform.system(), platform.system().lower())
    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(
        platform.machine(), platform.machine()
    )
    return f"@foundry-rs/anvil-{system}-{machine}"


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """How the chain behaves.

    Args:
        port: TCP port on 127.0.0.1; 0 picks a free one.
        block_time_s: a block is mined at least this often; 0 mines only with transactions.
        mine_at_once: a transaction is mined when it arrives, besides the regular blocks.
        timestamp_s: unix time of block 0; now by default.
    """

    port: int = 0
    block_time_s: float = 1
    mine_at_once: bool = True
    timestamp_s: int | None = None

    def command(self, program: Path, port: int, states: Path) -> list[str]:
        """Return the command line.

        Finality: with epochs of one slot, ``finalized`` means latest - 2.

        Args:
            program: anvil.
            port: TCP port on 127.0.0.1.
            states: folder for states of old blocks, gigabytes in some hours; delete it afterwards.
        """
        words = [str(program), "--host", HOST, "--port", str(port)]
        words += ["--chain-id", str(DEVNET_CHAIN_ID), "--accounts", "0"]
        words += ["--slots-in-an-epoch", "1", "--order", "fifo", "--cache-path", str(states)]
        if self.block_time_s:
            words += ["--block-time", f"{self.block_time_s:g}"]
            words += ["--mixed-mining"] if self.mine_at_once else []
        if self.timestamp_s is not None:
            words += ["--timestamp", str(self.timestamp_s)]
        return words


class Anvil:
    """A running chain; use it in a ``with`` block, or `start` and `stop` it.

    Args:
        options: how it behaves.
        log: file for what it prints; one that goes when it ends by default.
    """

    def __init__(self, options: AnvilOptions | None = None, *, log: Path | None = None) -> None:
        self.options = options or AnvilOptions()
        self._log = log
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Address of its JSON-RPC."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            AnvilMissingError: the program is not installed.
            AnvilStartError: the port is taken, or it ended or did not answer in time.
            UsageError: port 8545 is asked for.
        """
        if self.options.port == FORBIDDEN_PORT:
            raise UsageError(
                f"port {FORBIDDEN_PORT} is refused for the embedded chain",
                why="development tools attach to whatever listens there",
            )
        program = find_anvil()
        self.port = _claim_port(self.options.port)
        self._folder = Path(tempfile.mkdtemp(prefix="anvil-"))
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.options.command(program, self.port, self._folder / "states"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AnvilStartError(
                    f"anvil ended at once with code {process.returncode}", why=self._tail()
                )
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(_POLL_S)
        raise AnvilStartError(
            f"anvil does not answer after {START_TIMEOUT_S:g} s", why=self._tail()
        )

    def _tail(self) -> str:
        """Return the last lines it printed."""
        if not self._log_file.exists():
            return ""
        return self._log_file.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()

    @property
    def _log_file(self) -> Path:
        assert self._folder is not None
        return self._log or self._folder / "log"


def _claim_port(port: int) -> int:
    """Check that a port is free, or pick one.

    Raises:
        AnvilStartError: somebody listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise AnvilStartError(
                f"port {port} is taken",
                why=str(error),
                try_=("stop what listens there, or choose another port",),
            ) from error
        return int(probe.getsockname()[1])


class EmbeddedChain:
    """What only a development chain can do.

    Args:
        client: connected to anvil.
    """

    def __init__(self, client: ChainClient) -> None:
        self.client = client

    async def set_balance(self, account: bytes, wei: int) -> None:
        """Give an account native coin."""
        await self.client.request("anvil_setBalance", checksum_address(account), hex(wei))

    async def mine(self, blocks: int = 1) -> None:
        """Mine blocks at once."""
        await self.client.request("anvil_mine", hex(blocks))

    async def finalize(self) -> None:
        """Mine until what is latest now is final."""
        await self.mine(3)

    async def warp(self, timestamp_s: int) -> None:
        """Set the chain's clock forward and mine a block at that time."""
        await self.client.request("evm_setNextBlockTimestamp", timestamp_s)
        await self.mine()

    async def now(self) -> int:
        """Time of the latest block, unix seconds."""
        return (await self.client.block()).timestamp

    async def snapshot(self) -> str:
        """Remember the whole state."""
        return str(await self.client.request("evm_snapshot"))

    async def revert(self, snapshot: str) -> None:
        """Return to a snapshot, which is used up; what waits to be mined is dropped.

        Also what a block that was being mined meanwhile gives back: it would hold up all that its
        account sends afterwards.
        """
        await self.client.request("anvil_dropAllTransactions")
        await self.client.request("evm_revert", snapshot)
        await self.client.request("anvil_dropAllTransactions")

    async def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by empty ones; their transactions are gone."""
        await self.client.request("anvil_reorg", depth, [])
