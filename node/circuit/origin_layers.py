"""All layers of one circuit at its client.

Source: docs/spec/circuits.md, sections "Setup", "Forward cells" and "Backward cells".
"""

from collections.abc import Callable, Iterator, Sequence

from node.circuit.backward import BackwardLayer, BackwardOpener, ContentKey
from node.circuit.layer import REST_S, Filler, ForwardSealer, LayerKeys, build_forward
from node.circuit.messages import sole_data
from node.circuit.setup import HopInfo, PendingHop, TrafficKeys, open_created
from qnet.errors import CryptoError


class OriginLayers:
    """The client's side of every hop's layers, in both directions.

    Args:
        random: source of secret bytes.
        pending: what the client keeps of CREATE until CREATED comes.

    Attributes:
        opener: takes the layers off backward cells.
        used_at: time of the last cell in seconds; None while there are no ciphers.
    """

    __slots__ = ("_filler", "_pending", "_sealers", "opener", "used_at")

    def __init__(self, random: Callable[[int], bytes], pending: list[PendingHop]) -> None:
        self._filler = Filler(random)
        self._pending = pending
        self._sealers: list[ForwardSealer] = []
        self.opener = BackwardOpener([])
        self.used_at: float | None = None

    def begin(self, hops: Sequence[HopInfo], body: bytes) -> list[TrafficKeys]:
        """Take CREATED; return the keys of the hops that answered, from the entry on.

        Raises:
            RemoteProtocolError: it does not verify.
        """
        keys = open_created(body, self._pending)
        self._pending = []
        layers = [(hop.cipher, traffic.layer) for hop, traffic in zip(hops, keys, strict=False)]
        self._sealers = [ForwardSealer(cipher, layer) for cipher, layer in layers]
        self.opener = BackwardOpener(
            [
                (BackwardLayer(cipher, layer), ContentKey(cipher, layer.backward))
                for cipher, layer in layers
            ]
        )
        return keys

    def seal(self, position: int, messages: bytes, header: bytes) -> bytes:
        """Return the cell that delivers messages at a hop."""
        return build_forward(self._sealers[: position + 1], messages, self._filler, header)

    def heard(self, cells: Sequence[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
        """Open cells, one after the other, as far as they are asked for.

        Yields:
            (position of the hop, stream, its data), with the data of one stream in a row at once,
            or (position, 0, content) of a cell that carries other messages.

        Raises:
            CryptoError: no hop of ours sent the cell; those before it have been yielded.
        """
        open_cell = self.opener.open
        where = (0, 0)
        run: list[bytes] = []
        for cell in cells:
            try:
                position, content = open_cell(cell)
            except CryptoError:
                if run:
                    yield (*where, run)
                raise
            number, data = sole_data(content)
            if number and where == (position, number):
                run.append(data)
                continue
            if run:
                yield (*where, run)
            where, run = (position, number), [data] if number else []
            if not number:
                yield position, 0, [content]
        if run:
            yield (*where, run)

    def set_forward(self, position: int, keys: LayerKeys) -> None:
        """Seal the hop's layer of all later cells under fresh keys."""
        self._sealers[position].set_keys(keys)

    def tick(self, now: float) -> bool:
        """Drop the ciphers REST_S after the last cell; return whether it is time to rest."""
        if self.used_at is None or now - self.used_at < REST_S:
            return False
        self.used_at = None
        self.opener.rest()
        self._filler.rest()
        for sealer in self._sealers:
            sealer.rest()
        return True

    def erase(self) -> None:
        """Let go of all keys."""
        self._pending, self._sealers = [], []
        self.opener = BackwardOpener([])
