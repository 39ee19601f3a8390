from node.ciphers import offered_ciphers
from node.circuit.layer import CHACHA20_POLY1305, CIPHERS


def test_the_mandatory_cipher_is_always_offered(monkeypatch):
    offered = offered_ciphers()
    assert CHACHA20_POLY1305 in offered
    assert set(offered) <= set(CIPHERS)
    assert list(offered) == sorted(offered)


def test_a_slow_cipher_is_not_offered(monkeypatch):
    speeds = iter((2.0, 1.0))
    monkeypatch.setattr("node.ciphers._fastest", lambda _encrypt: next(speeds))
    assert offered_ciphers.__wrapped__() == (CHACHA20_POLY1305,)
