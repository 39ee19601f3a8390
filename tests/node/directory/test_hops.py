from dataclasses import dataclass

import pytest

from node.circuit.layer import AES_256_GCM, CHACHA20_POLY1305
from node.directory.hops import cipher_of, hops_of
from node.errors import StageError


@dataclass
class Listed:
    """What choosing a cipher needs of a listed node."""

    ciphers: tuple[int, ...]
    index: int = 4
    node_id: bytes = bytes(32)

    def phase_key(self, phase):
        return bytes(32) if phase == 9 else None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((1,), CHACHA20_POLY1305), ((1, 2), AES_256_GCM), ((1, 7), CHACHA20_POLY1305)],
)
def test_the_fastest_common_cipher_is_chosen(offered, chosen):
    assert cipher_of(Listed(offered)) == chosen
    assert hops_of([Listed(offered)], 9)[0].cipher == chosen


def test_a_node_without_a_known_cipher_is_no_hop():
    with pytest.raises(StageError, match="no cipher"):
        cipher_of(Listed((7,)))


def test_a_node_without_a_key_is_no_hop():
    with pytest.raises(StageError, match="no key"):
        hops_of([Listed((1,))], 10)
