import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.rekey import ClientRekey, HopRekey, decode_share, encode_share, next_keys
from node.circuit.states import RekeyState
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError, RemoteProtocolError


def fresh():
    return DhKey(secrets.token_bytes(32))


def pair():
    root = secrets.token_bytes(32)
    return ClientRekey(root), HopRekey(root)


def test_both_ends_agree_generation_after_generation():
    client, hop = pair()
    seen = set()
    for generation in range(1, 4):
        answer = hop.handle_rekey(client.ask(fresh()), fresh())
        back_hop = hop.sent()
        back_client = client.handle_rekeyed(answer)
        forward_hop = hop.handle_switch(client.switch_data())
        forward_client = client.sent()
        assert back_hop == back_client == forward_hop == forward_client
        assert client.generation == hop.generation == generation
        assert client.state is hop.state is RekeyState.IDLE
        seen.add(back_hop.forward)
    assert len(seen) == 3
    assert client._keys is None


def test_one_in_flight_per_hop():
    client, hop = pair()
    request = client.ask(fresh())
    with pytest.raises(RemoteProtocolError):
        client.ask(fresh())
    hop.handle_rekey(request, fresh())
    with pytest.raises(RemoteProtocolError):
        hop.handle_rekey(request, fresh())
    with pytest.raises(RemoteProtocolError):
        hop.handle_switch(client.switch_data())


def test_wrong_generations_and_low_order_shares_are_refused():
    client, hop = pair()
    with pytest.raises(RemoteProtocolError):
        hop.handle_rekey(encode_share(2, fresh().public), fresh())
    client, hop = pair()
    with pytest.raises(CryptoError):
        hop.handle_rekey(encode_share(1, bytes(32)), fresh())
    client, hop = pair()
    request = client.ask(fresh())
    with pytest.raises(RemoteProtocolError):
        client.handle_rekeyed(encode_share(2, fresh().public))
    client, hop = pair()
    request = client.ask(fresh())
    with pytest.raises(CryptoError):
        client.handle_rekeyed(encode_share(1, bytes(32)))
    client, hop = pair()
    request = client.ask(fresh())
    hop.handle_rekey(request, fresh())
    hop.sent()
    with pytest.raises(RemoteProtocolError):
        hop.handle_switch((2).to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError):
        pair()[0].handle_rekeyed(encode_share(1, fresh().public))


def test_keys_depend_on_everything():
    base = [secrets.token_bytes(32) for _ in range(4)]
    variants = [next_keys(base[0], base[1], (base[2], base[3]), 1)]
    for index in range(4):
        other = list(base)
        other[index] = secrets.token_bytes(32)
        variants.append(next_keys(other[0], other[1], (other[2], other[3]), 1))
    variants.append(next_keys(base[0], base[1], (base[2], base[3]), 2))
    assert len({root for _, root in variants}) == 6
    assert len({keys.forward for keys, _ in variants}) == 6


@given(st.binary(max_size=50))
def test_shares_never_crash(data):
    try:
        generation, share = decode_share(data)
    except DecodeError:
        return
    assert encode_share(generation, share) == data
