import pytest

from node.ciphers import link_features, offered_ciphers
from node.circuit.layer import AES_256_GCM, CHACHA20_POLY1305, CIPHERS
from node.htx.handshake import AES_RECORDS, FEATURES


def test_the_mandatory_cipher_is_always_offered(monkeypatch):
    offered = offered_ciphers()
    assert CHACHA20_POLY1305 in offered
    assert set(offered) <= set(CIPHERS)
    assert list(offered) == sorted(offered)


def test_a_slow_cipher_is_not_offered(monkeypatch):
    speeds = iter((2.0, 1.0))
    monkeypatch.setattr("node.ciphers._fastest", lambda _encrypt: next(speeds))
    assert offered_ciphers.__wrapped__() == (CHACHA20_POLY1305,)


@pytest.mark.parametrize(
    ("offered", "features"),
    [((CHACHA20_POLY1305,), 0), ((CHACHA20_POLY1305, AES_256_GCM), AES_RECORDS)],
)
def test_links_offer_aes_where_circuits_do(monkeypatch, offered, features):
    monkeypatch.setattr("node.ciphers.offered_ciphers", lambda: offered)
    assert link_features() == features
    assert link_features() & ~FEATURES == 0
