import secrets

from hypothesis import given
from hypothesis import strategies as st

from node.mix.mailbox import KEY_BYTES, DeliveryIds


@given(st.integers(0, 2**32 - 1), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_only_the_node_reads_its_ids(slot, key):
    ids = DeliveryIds(key)
    name = ids.issue(slot, secrets.token_bytes)
    assert len(name) == 16
    assert ids.slot_of(name) == slot
    assert DeliveryIds(secrets.token_bytes(KEY_BYTES)).slot_of(name) is None


def test_ids_of_one_client_differ_and_others_are_unknown():
    ids = DeliveryIds(secrets.token_bytes(KEY_BYTES))
    assert len({ids.issue(3, secrets.token_bytes) for _ in range(1000)}) == 1000
    assert all(ids.slot_of(secrets.token_bytes(16)) is None for _ in range(1000))
