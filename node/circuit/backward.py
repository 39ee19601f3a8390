"""Backward layers: what a hop sends towards the client, wide-block chained.

`body = L 16 ‖ R 2,024`: each hop does `L ⊕= tag(k_m, counter, R)`, then
`R ⊕= AES-256-CTR(k_s, IV = L)`. Any change before an honest hop turns the whole block into noise
behind it, so two hops around it cannot recognise a mark. The hop that speaks seals its content with
k_b first; only the client can open that.

Source: docs/spec/circuits.md, section "Backward cells"; RFC 8439; NIST SP 800-38A.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.circuit.cell import CONTENT_BYTES, HEADER_BYTES, TAG_BYTES
from node.circuit.layer import RATCHET_CELLS, Aead, LayerKeys, cell_nonce, make_aead, ratchet
from qnet.errors import CryptoError

_RATCHET_MASK: Final = RATCHET_CELLS - 1
_BODY: Final = HEADER_BYTES + TAG_BYTES
_ZEROS: Final = bytes(CONTENT_BYTES)
_int: Final = int.from_bytes

Tools = tuple[
    Callable[[bytes, bytes, bytes], bytes], Callable[[bytes], None], Callable[[bytes], bytes]
]
"""What a layer is made with: nonce, nothing and R to a tag; set the counter block; XOR."""


class BackwardLayer:
    """A hop's layer on backward bodies, and its inverse at the client.

    Args:
        cipher: code of the AEAD that authenticates.
        keys: the hop's keys.
        counter: number of the next body.
    """

    __slots__ = ("_cipher", "_key_mac", "_key_stream", "_since", "_tools", "counter")

    def __init__(self, cipher: int, keys: LayerKeys, counter: int = 0) -> None:
        self._cipher = cipher
        self.counter = counter
        self.set_keys(keys)

    def set_keys(self, keys: LayerKeys) -> None:
        """Go on under fresh keys."""
        self._set(keys.mac, keys.stream)

    def _set(self, mac: bytes, stream: bytes) -> None:
        self._since = self.counter
        self._key_mac = mac
        self._key_stream = stream
        self.rest()

    def rest(self) -> None:
        """Drop the ciphers until they are used again; keys and counter stay."""
        self._tools: Tools | None = None

    def _wake(self) -> Tools:
        """Make the ciphers of the next body, whose keys may be the next in line."""
        counter = self.counter
        if not counter & _RATCHET_MASK and counter != self._since:
            self._set(ratchet(self._key_mac), ratchet(self._key_stream))
        context: CipherContext = Cipher(AES(self._key_stream), CTR(bytes(16))).encryptor()
        mac = make_aead(self._cipher, self._key_mac).encrypt
        self._tools = tools = (mac, context.reset_nonce, context.update)
        return tools

    def wrap(self, left: bytes, right: bytes, header: bytes) -> bytes:
        """Return the cell whose body is (L, R) under one more layer, and step the counter."""
        counter = self.counter
        tools = self._tools
        if tools is None or not counter & _RATCHET_MASK:
            tools = self._wake()
        mac, reset, update = tools
        self.counter = counter + 1
        tag = mac(cell_nonce(counter), b"", right)
        left = (_int(left, "big") ^ _int(tag, "big")).to_bytes(TAG_BYTES, "big")
        reset(left)
        return header + left + update(right)

    def wrap_all(self, cells: Iterable[bytes], header: bytes) -> list[bytes]:
        """Return the cells of the next hop, each under one more layer; as `wrap` does."""
        wrapped = []
        mac, reset, update = self._tools or self._wake()
        for cell in cells:
            counter = self.counter
            if not counter & _RATCHET_MASK:
                mac, reset, update = self._wake()
            self.counter = counter + 1
            right = cell[_BODY:]
            tag = mac(cell_nonce(counter), b"", right)
            left = _int(cell[HEADER_BYTES:_BODY], "big") ^ _int(tag, "big")
            block = left.to_bytes(TAG_BYTES, "big")
            reset(block)
            wrapped.append(header + block + update(right))
        return wrapped

    def peel(self, left: bytes, right: bytes) -> tuple[bytes, bytes]:
        """Undo the layer of body `counter`; the counter stays."""
        counter = self.counter
        tools = self._tools
        if tools is None or not counter & _RATCHET_MASK:
            tools = self._wake()
        mac, reset, update = tools
        reset(left)
        right = update(right)
        tag = mac(cell_nonce(counter), b"", right)
        return (_int(left, "big") ^ _int(tag, "big")).to_bytes(TAG_BYTES, "big"), right


class ContentKey:
    """k_b: seals what a hop says itself; the client holds the other end.

    Args:
        cipher: code of the AEAD.
        key: 32 bytes.
        counter: number of the next content.
    """

    __slots__ = ("_aead", "_cipher", "_key", "_since", "counter")

    def __init__(self, cipher: int, key: bytes, counter: int = 0) -> None:
        self._cipher = cipher
        self.counter = counter
        self.set_key(key)

    def set_key(self, key: bytes) -> None:
        """Go on under a fresh key."""
        self._since = self.counter
        self._key = key
        self.rest()

    def rest(self) -> None:
        """Drop the cipher until it is used again; key and counter stay."""
        self._aead: Aead | None = None

    def _wake(self) -> Aead:
        """Make the cipher of the next content, whose key may be the next in line."""
        counter = self.counter
        if not counter & _RATCHET_MASK and counter != self._since:
            self.set_key(ratchet(self._key))
        self._aead = aead = make_aead(self._cipher, self._key)
        return aead

    def seal(self, content: bytes) -> tuple[bytes, bytes]:
        """Return (L, R) of at most 2,024 bytes of content and step the counter."""
        counter = self.counter
        aead = self._aead
        if aead is None or not counter & _RATCHET_MASK:
            aead = self._wake()
        self.counter = counter + 1
        missing = CONTENT_BYTES - len(content)
        padded = content + _ZEROS[:missing] if missing else content
        sealed = aead.encrypt(cell_nonce(counter), padded, None)
        return sealed[CONTENT_BYTES:], sealed[:CONTENT_BYTES]

    def open(self, left: bytes, right: bytes) -> bytes | None:
        """Return the content (2,024 bytes) and step the counter; None if it is not from here."""
        counter = self.counter
        aead = self._aead
        if aead is None or not counter & _RATCHET_MASK:
            aead = self._wake()
        try:
            content = aead.decrypt(cell_nonce(counter), right + left, None)
        except InvalidTag:
            return None
        self.counter = counter + 1
        return content


class BackwardOpener:
    """The client's side of backward cells: peels from the entry on, trying each hop's key.

    Args:
        layers: layer and content key of every hop, entry first.
    """

    __slots__ = ("_expected", "_layers")

    def __init__(self, layers: Sequence[tuple[BackwardLayer, ContentKey]]) -> None:
        self._layers = list(layers)
        self._expected = len(self._layers)

    def rest(self) -> None:
        """Drop the ciphers until they are used again; keys and counters stay."""
        for layer, content in self._layers:
            layer.rest()
            content.rest()

    def set_keys(self, position: int, keys: LayerKeys) -> None:
        """Go on under fresh keys of one hop."""
        layer, content = self._layers[position]
        layer.set_keys(keys)
        content.set_key(keys.backward)

    def open(self, cell: bytes) -> tuple[int, bytes]:
        """Return (position of the hop that spoke, its content of 2,024 bytes).

        The hop that spoke last is tried first: the tags make the answer the same, only sooner.

        Raises:
            CryptoError: no hop said this; the circuit must be destroyed.
        """
        content = self._try(cell, self._expected)
        if content is not None:
            return self._expected - 1, content
        for depth in range(1, len(self._layers) + 1):
            content = self._try(cell, depth)
            if content is not None:
                self._expected = depth
                return depth - 1, content
        raise CryptoError

    def _try(self, cell: bytes, depth: int) -> bytes | None:
        """Return the content if the hop at this depth said it, and step the counters then."""
        layers = self._layers[:depth]
        left, right = cell[HEADER_BYTES:_BODY], cell[_BODY:]
        for layer, _ in layers:
            left, right = layer.peel(left, right)
        content = layers[-1][1].open(left, right)
        if content is not None:
            for layer, _ in layers:
                layer.counter += 1
        return content
