"""From the committee's report to money: leaves, proofs, and what remains to be claimed.

A member is asked for a node's leaf and its proof; nothing it says is believed before the proof
leads to the root that the chain holds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from governance.errors import MismatchError
from qnet.chain.contracts import Contracts
from qnet.chain.reporting import ReportStatus
from qnet.errors import DecodeError, NetworkError, NotFoundError
from qnet.merkle import verify
from qnet.messages.report import NodeLeaf

MAX_ANSWER_BYTES = 1 << 20
MAX_PROOF = 64
TIMEOUT_S = 10.0
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A leaf with the path to its root (32-byte hashes)."""

    leaf: NodeLeaf
    proof: tuple[bytes, ...]

    def check(self, *, chain_id: int, oracle: bytes, root: bytes) -> None:
        """Check the proof against the root on the chain.

        Raises:
            MismatchError: it leads elsewhere.
        """
        if not verify(root, self.leaf.hash(chain_id, oracle), self.proof):
            raise MismatchError(
                f"the proof of node {self.leaf.node} for epoch {self.leaf.epoch} is wrong",
                why="it does not lead to the root the chain holds",
            )


def decode_leaf(document: object) -> ProvenLeaf:
    """Read a member's answer `{"leaf": {...}, "proof": ["0x…"]}`.

    Raises:
        DecodeError: it has another form.
    """
    if not isinstance(document, dict) or not isinstance(document.get("proof"), list):
        raise DecodeError("the answer holds no leaf with a proof")
    steps: list[Any] = document["proof"]
    if len(steps) > MAX_PROOF:
        raise DecodeError(f"a proof of {len(steps)} steps")
    return ProvenLeaf(NodeLeaf.from_json(document.get("leaf")), tuple(map(_hash, steps)))


def _hash(text: object) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x")) if isinstance(text, str) else b""
    except ValueError as error:
        raise DecodeError("a step of the proof is not hexadecimal") from error
    if len(value) != HASH_BYTES:
        raise DecodeError("a step of the proof does not have 32 bytes")
    return value


async def last_final_epoch(contracts: Contracts) -> int:
    """Newest epoch whose report is final.

    Raises:
        NotFoundError: there is none yet.
    """
    epoch = await contracts.oracle.next_epoch() - 1
    while epoch >= 0:
        found = await contracts.oracle.report(epoch)
        if found.status is ReportStatus.FINAL:
            return epoch
        epoch -= 1
    raise NotFoundError(
        "no report is final yet",
        why="an epoch ends, is reported, and its window passes first",
        try_=("qnet chain status",),
    )


async def fetch_leaf(contracts: Contracts, epoch: int, index: int) -> ProvenLeaf:
    """Ask the members in turn for a node's leaf and check it against the chain.

    Raises:
        NetworkError: no member gave a leaf that passes; says what each did.
    """
    root = await contracts.oracle.nodes_root(epoch)
    complaints: list[str] = []
    members = await contracts.committee.members()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for member in members:
            url = f"{member.url}/v1/epochs/{epoch}/leaf/{index}"
            try:
                found = decode_leaf(await _get_json(session, url))
                _check_names(found.leaf, epoch, index)
                found.check(
                    chain_id=contracts.client.chain_id,
                    oracle=contracts.oracle.address,
                    root=root,
                )
            except (NetworkError, DecodeError, MismatchError) as error:
                complaints.append(f"member {member.index}: {error.message}")
            else:
                return found
    raise NetworkError(
        f"no member proved the leaf of node {index} for epoch {epoch}",
        why=_join(complaints),
        try_=("try again later",),
    )


def _check_names(leaf: NodeLeaf, epoch: int, index: int) -> None:
    if (leaf.epoch, leaf.node) != (epoch, index):
        raise MismatchError("the member sent the leaf of another node or epoch")


def _join(complaints: Sequence[str]) -> str:
    return "; ".join(complaints) or "the committee has no members"


async def _get_json(session: aiohttp.ClientSession, url: str) -> object:
    try:
        async with session.get(url) as response:
            body = await response.content.read(MAX_ANSWER_BYTES + 1)
            if response.status != 200:
                raise NetworkError(f"{url} answered {response.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NetworkError(f"{url} did not answer", why=repr(error)) from error
    if len(body) > MAX_ANSWER_BYTES:
        raise DecodeError(f"{url} answered more than 1 MiB")
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{url} did not answer with JSON") from error
    return document
