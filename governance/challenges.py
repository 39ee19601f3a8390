"""A challenge from commitment to proof: the salt survives a restart, a bond is put down once."""

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from governance.errors import ChallengeStateError
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.disputes import Challenge, ChallengeState
from qnet.errors import ConfigError
from qnet.files import write_atomic
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import ChargeEvidence, JailEvidence, Proof

SCHEMA: Final = "qnet.challenge/1"
HASH_BYTES: Final = 32
MAX_FILE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Opening:
    """What a challenger must remember between commitment and proof.

    Attributes:
        challenger: account that commits, 0x-address.
        salt: 32 random bytes in hexadecimal; whoever knows them knows the proof before the court.
        commitment: 32 bytes in hexadecimal.
        challenge_id: the court's number; 0 while it is not known.
    """

    challenger: str
    salt: str
    commitment: str
    challenge_id: int = 0

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read the file; None if there is none.

        Raises:
            ConfigError: it is not one of ours.
        """
        if not path.exists():
            return None
        try:
            with path.open("rb") as stream:
                document = json.loads(stream.read(MAX_FILE_BYTES))
            schema = document.pop("schema")
            found = cls(**document)
            salt, commitment = bytes.fromhex(found.salt), bytes.fromhex(found.commitment)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is no file of a challenge", why=str(error)) from error
        sizes = {len(salt), len(commitment)}
        if schema != SCHEMA or sizes != {HASH_BYTES} or not isinstance(found.challenge_id, int):
            raise ConfigError(f"{path} is no file of a challenge")
        return found

    def save(self, path: Path) -> None:
        """Write the file in one step (0600)."""
        document = {"schema": SCHEMA, **asdict(self)}
        write_atomic(path, json.dumps(document, indent=1).encode() + b"\n")


def opening_path(evidence: Path) -> Path:
    """Where the challenge of an evidence file is remembered: beside it."""
    return evidence.with_name(evidence.name + ".challenge")


def provable(file: EvidenceFile) -> Proof:
    """The proof of a file that takes a challenge first.

    Raises:
        ChallengeStateError: the evidence takes no challenge.
    """
    if isinstance(file.evidence, ChargeEvidence | JailEvidence):
        verb = file.evidence.FUNCTION
        raise ChallengeStateError(
            f"this evidence takes no challenge: it is for `{verb}`",
            try_=(f"qnet court {verb} FILE",),
        )
    return file.evidence


def prepare(contracts: Contracts, path: Path, proof: Proof, account: bytes) -> Opening:
    """Find the opening of a proof, or make one and write it down before anything is sent.

    Raises:
        ChallengeStateError: another account has begun a challenge with this file.
    """
    found = Opening.load(path)
    if found is None:
        salt = secrets.token_bytes(HASH_BYTES)
        commitment = contracts.court.commitment(account, salt, proof)
        found = Opening(checksum_address(account), salt.hex(), commitment.hex())
        found.save(path)
        return found
    commitment = contracts.court.commitment(account, bytes.fromhex(found.salt), proof)
    if commitment.hex() != found.commitment:
        raise ChallengeStateError(
            f"{path} belongs to another account or other evidence",
            why=f"{found.challenger} committed to {found.commitment[:16]}…",
            try_=("use that account", f"or remove {path} if its challenge is over"),
        )
    return found


async def find_opened(contracts: Contracts, opening: Opening) -> Opening:
    """Look up the court's number of an opening that may have been sent before a restart."""
    if opening.challenge_id:
        return opening
    court = contracts.court
    topic = court.abi.event("ChallengeOpened").hash
    last = (await contracts.client.block("latest")).number
    for log in await contracts.client.logs(
        [court.address],
        from_block=contracts.deployment.start_block,
        to_block=last,
        topics=[topic],
    ):
        event = court.event(log)
        if event is None or event.arguments["commitment"].hex() != opening.commitment:
            continue
        if checksum_address(event.arguments["challenger"]) == opening.challenger:
            return replace(opening, challenge_id=int(event.arguments["id"]))
    return opening


async def open_challenge(contracts: Contracts, opening: Opening) -> Challenge:
    """The challenge of an opening, which must wait for its proof.

    Raises:
        ChallengeStateError: it was never opened, is proven, or is over.
    """
    if not opening.challenge_id:
        raise ChallengeStateError("the challenge is not opened", try_=("qnet court open FILE",))
    found = await contracts.court.challenge(opening.challenge_id)
    if found.state is not ChallengeState.OPEN:
        raise ChallengeStateError(
            f"challenge {found.challenge_id} is {found.state.name.lower()}",
            try_=("qnet court status",),
        )
    return found
