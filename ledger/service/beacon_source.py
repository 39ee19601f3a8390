"""The beacon: from our own seed, or from other members, always checked against the contract."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp

from ledger.errors import NotReadyError
from qnet.beacon import ANCHOR_SLOT, BEACON_BYTES, HashChain, earlier_value, verify_value
from qnet.crypto.keys import keccak256
from qnet.epochs import EpochClock
from qnet.errors import ConfigError, CryptoError

MAX_SEED_FILE_BYTES: Final = 4096
CHAIN_SLOTS_MAX: Final = 1 << 22
"""Longest hash chain: 478 years of one-hour slots."""
FETCH_TIMEOUT_S: Final = 3.0
KEPT_VALUES: Final = 4096


def load_seed(path: Path, anchor: bytes) -> HashChain:
    """Read a seed file (32 bytes in hexadecimal) and find how long its hash chain is.

    Args:
        path: the file.
        anchor: `Epochs.beaconAnchor()`, 32 bytes.

    Raises:
        ConfigError: unreadable, malformed, or the seed does not lead to the anchor.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SEED_FILE_BYTES).decode("ascii").strip()
        seed = bytes.fromhex(text.removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no beacon seed", why=str(error)) from error
    if len(seed) != BEACON_BYTES:
        raise ConfigError(f"{path} is no beacon seed", why=f"it does not hold {BEACON_BYTES} bytes")
    value = keccak256(seed)
    for length in range(1, CHAIN_SLOTS_MAX):
        value = keccak256(value)
        if value == anchor:
            return HashChain(seed, length)
    raise ConfigError(
        "the beacon seed does not belong to this network",
        why="its hash chain does not lead to the anchor of the contract Epochs",
    )


class BeaconSource:
    """Values of the slots that have begun.

    Args:
        anchor: `Epochs.beaconAnchor()`, 32 bytes.
        clock: the calendar.
        chain: our own hash chain, if we hold the seed.
        urls: other members to ask otherwise.
    """

    def __init__(
        self,
        anchor: bytes,
        clock: EpochClock,
        *,
        chain: HashChain | None = None,
        urls: Sequence[str] = (),
    ) -> None:
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
