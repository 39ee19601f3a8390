"""What the steps of the demo share: the network, the journal, the command line."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from tools.devnet.config import DEVNET_CHAIN_ID, DevnetConfig
from tools.devnet.demo.journal import CheckFailedError, Journal
from tools.devnet.network import qnet_program
from tools.devnet.state import State

COMMAND_TIMEOUT_S = 120
SAID_CHARS = 250


@dataclass(slots=True)
class Demo:
    """One run of the demo.

    Attributes:
        state: the network it runs on.
        journal: what was verified so far.
        first_traffic_s: unix time of the first download.
    """

    state: State
    journal: Journal
    first_traffic_s: float = 0.0

    @property
    def config(self) -> DevnetConfig:
        """Size and addresses of the network."""
        return self.state.config

    @property
    def socks(self) -> str:
        """Where the client listens."""
        return f"127.0.0.1:{self.config.socks_port}"

    @property
    def work(self) -> Path:
        """Folder for files the demo makes."""
        folder = self.config.home / "demo"
        folder.mkdir(exist_ok=True)
        return folder

    @asynccontextmanager
    async def contracts(self) -> AsyncIterator[Contracts]:
        """The contracts, straight from the chain."""
        async with ChainClient.connect(
            self.config.rpc, expected_chain_id=DEVNET_CHAIN_ID
        ) as client:
            yield await Contracts.open(client, Deployment.load(self.config.deployment))

    def qnet(self, *words: object) -> list[Any]:
        """Run a `qnet` command as a user would and return the data of its JSON results.

        Raises:
            CheckFailedError: it failed; carries its words.
        """
        argv = [str(qnet_program()), *map(str, words), "--json", "--no-input"]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT_S
        )
        if done.returncode != 0:
            raise CheckFailedError(
                f"qnet {' '.join(map(str, words[:3]))} ended with status {done.returncode}",
                why=_ends(done.stderr.strip()),
            )
        return [document["data"] for document in read_documents(done.stdout)]

    def on_chain(self) -> list[str]:
        """Words that point a command at this network's chain."""
        return ["--rpc", self.config.rpc, "--deployment", str(self.config.deployment)]

    def signed_by(self, account: str) -> list[str]:
        """Words that let a command act for an account without asking."""
        keystore = self.state.account(account).keystore
        passphrase = str(self.config.passphrase_file)
        return [
            *self.on_chain(),
            *("--account", keystore, "--passphrase-file", passphrase, "--yes"),
        ]


def _ends(text: str) -> str:
    """First and last words of what a command said: the cause stands first, advice last."""
    return text if len(text) <= 2 * SAID_CHARS else f"{text[:SAID_CHARS]} … {text[-SAID_CHARS:]}"


def read_documents(text: str) -> list[Any]:
    """Read the JSON documents a command printed one after the other."""
    decoder, rest, documents = json.JSONDecoder(), text.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].strip()
    return documents
