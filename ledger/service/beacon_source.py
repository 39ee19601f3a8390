"""The beacon: from our own seed, or from other members, always checked against the contract."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp

from ledger.errors import NotReadyError
from qnet.beacon import ANCHOR_SLOT, BEACON_BYTES, HashChain, earlier_value, verify_value
from qnet.epochs import EpochClock
from qnet.errors import ConfigError, CryptoError

SEED_SCHEMA: Final = "qnet.beacon/1"
MAX_SEED_FILE_BYTES: Final = 4096
FETCH_TIMEOUT_S: Final = 3.0
KEPT_VALUES: Final = 4096


def load_seed(path: Path) -> HashChain:
    """Read a seed file: `{"schema": "qnet.beacon/1", "seed": "0x…", "length": slots}`.

    Raises:
        ConfigError: unreadable or malformed.
    """
    try:
        if path.stat().st_size > MAX_SEED_FILE_BYTES:
            raise ConfigError(f"{path} is no beacon seed: too large")
        content = json.loads(path.read_text("utf-8"))
        if content["schema"] != SEED_SCHEMA:
            raise ConfigError(f"{path} is not of schema {SEED_SCHEMA}")
        return HashChain(bytes.fromhex(content["seed"].removeprefix("0x")), int(content["length"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no beacon seed", why=str(error)) from error


def seed_content(seed: bytes, length: int) -> str:
    """Content of a seed file."""
    return json.dumps({"schema": SEED_SCHEMA, "seed": "0x" + seed.hex(), "length": length})


class BeaconSource:
    """Values of the slots that have begun.

    Args:
        anchor: `Epochs.beaconAnchor()`, 32 bytes.
        clock: the calendar.
        chain: our own hash chain, if we hold the seed.
        urls: other members to ask otherwise.

    Raises:
        ConfigError: the seed does not lead to the anchor.
    """

    def __init__(
        self,
        anchor: bytes,
        clock: EpochClock,
        *,
        chain: HashChain | None = None,
        urls: Sequence[str] = (),
    ) -> None:
        if chain is not None and chain.anchor != anchor:
            raise ConfigError(
                "the beacon seed does not belong to this network",
                why="its hash chain does not end in the anchor of the contract Epochs",
            )
        self._clock = clock
        self._chain = chain
        self._urls = tuple(urls)
        self._known = (ANCHOR_SLOT, anchor)
        self._values: dict[int, bytes] = {}

    async def value(self, slot_number: int, now: float) -> bytes:
        """Value of a slot, 32 bytes.

        Raises:
            NotReadyError: the slot has not begun, or nobody tells.
        """
        if not 0 <= slot_number <= self._clock.slot_number_at(now):
            raise NotReadyError(f"slot {slot_number} has not begun")
        found = self._values.get(slot_number)
        if found is None:
            if self._chain is not None:
                if slot_number >= self._chain.length:
                    raise NotReadyError("the beacon's hash chain is used up")
                found = self._chain.value(slot_number)
            elif slot_number <= self._known[0]:
                found = earlier_value(self._known[1], self._known[0] - slot_number)
            else:
                found = await self._fetch(slot_number)
            if len(self._values) >= KEPT_VALUES:
                self._values.clear()
            self._values[slot_number] = found
        return found

    async def of_epoch(self, epoch: int, now: float) -> tuple[bytes, ...]:
        """Values of an epoch's slots, in order.

        Raises:
            NotReadyError: its last slot has not begun, or nobody tells.
        """
        slots = self._clock.slots_per_epoch
        last = await self.value(self._clock.slot_number(epoch, slots - 1), now)
        return tuple(earlier_value(last, slots - 1 - slot) for slot in range(slots))

    async def _fetch(self, slot_number: int) -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            for url in self._urls:
                try:
                    async with session.get(f"{url}/v1/beacon/{slot_number}") as response:
                        value = await response.content.read(BEACON_BYTES + 1)
                    known_slot, known_value = self._known
                    verify_value(slot_number, value, known_slot=known_slot, known_value=known_value)
                except (aiohttp.ClientError, TimeoutError, OSError, CryptoError):
                    continue
                self._known = (slot_number, value)
                return value
        raise NotReadyError(f"no member tells the beacon of slot {slot_number}")
