"""Fresh keys for one hop of a living circuit.

The client sends REKEY(generation, X); the hop answers REKEYED(generation, Y) as the last cell under
its old backward keys; the client answers REKEY_SWITCH(generation) as the last cell under the old
forward keys. Both X25519 shares and the old root enter the new keys, so whoever learns today's keys
reads neither yesterday's cells (the root is replaced) nor, from the next exchange on, tomorrow's.

Source: docs/spec/circuits.md, section "Rekey".
"""

from typing import Final

from node.circuit.layer import LayerKeys
from node.circuit.states import REKEY_TABLE, RekeyInput, RekeyState, step
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey
from qnet.errors import RemoteProtocolError

SHARE_BYTES: Final = 32
JITTER_PARTS: Final = 5
"""A client rekeys between 4/5 and 5/5 of `circuit_rekey_s`, so that circuits do not step alike."""
RELAY_INTERVAL_PARTS: Final = 10
"""A hop refuses a REKEY sooner than `circuit_rekey_s` / 10 after the last."""


def encode_share(generation: int, share: bytes) -> bytes:
    """Data of REKEY and REKEYED: `generation u32 ‖ share 32`."""
    return Writer().u32(generation).take(share).bytes()


def decode_share(data: bytes) -> tuple[int, bytes]:
    """Return (generation, share).

    Raises:
        DecodeError: wrong size.
    """
    reader = Reader(data)
    generation, share = reader.u32(), reader.take(SHARE_BYTES)
    reader.finish()
    return generation, share


def next_keys(
    root: bytes, fresh: bytes, shares: tuple[bytes, bytes], generation: int
) -> tuple[LayerKeys, bytes]:
    """Derive the keys of a generation.

    Args:
        root: the root of the generation before, 32 bytes.
        fresh: X25519 of the two shares, 32 bytes.
        shares: (X of the client, Y of the hop), 32 bytes each.
        generation: number of the new keys, from 1.

    Returns:
        The layer keys and the new root.
    """
    material = root + fresh + shares[0] + shares[1] + generation.to_bytes(4, "big")
    output = derive_key(Label.CIRCUIT_REKEY, material, 6 * 32)
    forward, pad, backward, mac, stream, new_root = (
        output[start : start + 32] for start in range(0, 6 * 32, 32)
    )
    return LayerKeys(forward, pad, backward, mac, stream), new_root


class _Rekey:
    """What both ends of a hop's rekey keep.

    Args:
        root: root secret from the setup, 32 bytes.
    """

    __slots__ = ("_keys", "_next_root", "_root", "generation", "state")

    def __init__(self, root: bytes) -> None:
        self.state = RekeyState.IDLE
        self.generation = 0
        self._root = root
        self._next_root = root
        self._keys: LayerKeys | None = None

    def _step(self, change: RekeyInput) -> None:
        self.state = step(REKEY_TABLE, self.state, change)

    def _derive(self, fresh: bytes, shares: tuple[bytes, bytes]) -> LayerKeys:
        generation = self.generation + 1
        self._keys, self._next_root = next_keys(self._root, fresh, shares, generation)
        return self._keys

    def _finish(self) -> LayerKeys:
        keys = self._keys
        assert keys is not None  # the state table has no way here without them
        self.generation += 1
        self._root = self._next_root
        self._keys = None
        return keys

    def _check(self, generation: int) -> None:
        if generation != self.generation + 1:
            raise RemoteProtocolError("unexpected generation of keys")


class HopRekey(_Rekey):
    """The hop's side."""

    __slots__ = ()

    def handle_rekey(self, data: bytes, fresh: DhKey) -> bytes:
        """Take REKEY; return the data of REKEYED, to be sent in a cell of its own.

        Raises:
            RemoteProtocolError: one is in flight, a wrong generation, or a low-order share.
        """
        self._step(RekeyInput.REKEY)
        generation, share = decode_share(data)
        self._check(generation)
        self._derive(fresh.exchange(share), (share, fresh.public))
        return encode_share(generation, fresh.public)

    def sent(self) -> LayerKeys:
        """The cell with REKEYED was made: return the keys of all later backward cells."""
        self._step(RekeyInput.SENT)
        assert self._keys is not None  # the state table has no way here without them
        return self._keys

    def handle_switch(self, data: bytes) -> LayerKeys:
        """Take REKEY_SWITCH; return the keys of all later forward cells.

        Raises:
            RemoteProtocolError: not expected, or a wrong generation.
        """
        self._step(RekeyInput.SWITCH)
        self._check(int.from_bytes(data, "big"))
        return self._finish()


class ClientRekey(_Rekey):
    """The client's side of one hop."""

    __slots__ = ("_fresh",)

    def __init__(self, root: bytes) -> None:
        super().__init__(root)
        self._fresh: DhKey | None = None

    def ask(self, fresh: DhKey) -> bytes:
        """Begin; return the data of REKEY.

        Raises:
            RemoteProtocolError: one is in flight.
        """
        self._step(RekeyInput.ASK)
        self._fresh = fresh
        return encode_share(self.generation + 1, fresh.public)

    def handle_rekeyed(self, data: bytes) -> LayerKeys:
        """Take REKEYED; return the keys of all later backward cells of the hop.

        Raises:
            RemoteProtocolError: not expected, a wrong generation, or a low-order share.
        """
        self._step(RekeyInput.REKEYED)
        generation, share = decode_share(data)
        self._check(generation)
        fresh, self._fresh = self._fresh, None
        assert fresh is not None  # the state table has no way here without it
        return self._derive(fresh.exchange(share), (fresh.public, share))

    def switch_data(self) -> bytes:
        """Return the data of REKEY_SWITCH, to be sent in a cell of its own."""
        return (self.generation + 1).to_bytes(4, "big")

    def sent(self) -> LayerKeys:
        """The cell with REKEY_SWITCH was made: return the keys of all later forward cells."""
        self._step(RekeyInput.SENT)
        return self._finish()
