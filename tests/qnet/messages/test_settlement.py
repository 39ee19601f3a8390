"""What settles premium payments, held against what the contracts say (tests/vectors/payments)."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey, keccak256, recover
from qnet.crypto.points import G1
from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError, LocalProtocolError
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import Place, Unit
from qnet.messages.settlement import (
    NOTHING,
    TREE_DEPTH,
    Attestation,
    ClaimLeaf,
    ClaimTree,
    Closing,
    Exit,
    ProvenLeaf,
    Redeem,
    keys_digest,
)
from qnet.messages.voucher import Voucher

FILE = Path(__file__).parents[2] / "vectors" / "payments" / "contracts.json"
VECTORS = json.loads(FILE.read_text())
KEYS = json.loads((FILE.parents[1] / "contracts.json").read_text())
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
u128 = st.integers(0, 2**128 - 1)
words = st.binary(min_size=32, max_size=32)
relays = st.integers(0, 2**TREE_DEPTH - 1)


def octets(text):
    return bytes.fromhex(text.removeprefix("0x"))


CHAIN_ID = VECTORS["chain_id"]
CHANNELS = octets(VECTORS["channels"])
DOMAIN = octets(VECTORS["domain"])


def redemption():
    tokens = [
        SpentToken(
            octets(token["top"]),
            octets(token["refund"]),
            G1.decode_eip2537(octets(token["signature"])).encode(),
            Unit(int(token["k"]), octets(token["preimage"])),
        )
        for token in VECTORS["redemption"]
    ]
    return Redeem(int(VECTORS["instruments"]["epoch"]), 7, tuple(tokens))


def message(name, v):
    """The message of a vector, as a function of the domain."""
    epoch = int(v.get("epoch", 0))
    if name == "Voucher":
        values = (int(v["cumulative"]), int(v["nonce"]), epoch, octets(v["batchHash"]))
        return Voucher(octets(v["channel"]), *values).digest
    if name == "IssuanceKeys":
        return lambda domain: keys_digest(domain, epoch, octets(v["keysHash"]))
    if name == "Closing":
        return Closing(epoch, int(v["issuedUnits"]), octets(v["logRoot"])).digest
    if name == "Attestation":
        counts = (int(v["units"]), int(v["tokens"]))
        return Attestation(epoch, octets(v["root"]), *counts, octets(v["logRoot"])).digest
    if name == "Exit":
        return Exit(octets(v["message"]), int(v["spent"]), octets(v["to"])).digest
    return redemption().digest


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["messages"] if v["name"] != "Swap"], ids=lambda v: v["name"]
)
def test_digests_are_those_of_the_contracts(vector):
    assert qnet_domain(CHAIN_ID, CHANNELS) == DOMAIN
    digest = message(vector["name"], vector["values"])(DOMAIN)
    assert digest == octets(vector["digest"])
    assert vector["checked_by_contract"]
    signer = ReceiptKey(octets(KEYS["signing_keys"][0])).address
    assert recover(digest, octets(vector["signature"])) == signer


def test_instruments_are_those_of_the_contracts():
    v, place = VECTORS["instruments"], Place(CHAIN_ID, CHANNELS)
    key, epoch = octets(v["key"]), int(v["epoch"])
    assert place.credit(epoch, int(v["class"]), key) == octets(v["credit"])
    token_id = SpentToken(octets(v["top"]), octets(v["refund"]), b"", Unit(1, b"")).token_id
    assert place.token(epoch, int(v["relay"]), token_id) == octets(v["token"])


def test_the_tree_is_the_one_in_which_the_contract_finds_every_leaf():
    described = VECTORS["tree"]
    epoch = int(described["epoch"])
    read = {
        int(entry["relay"]): ProvenLeaf.from_json(
            {name: entry[name] for name in ("epoch_units", "cum_units", "tokens", "path")},
            int(entry["relay"]),
        )
        for entry in described["leaves"]
    }
    earned = [proven.leaf for proven in read.values() if proven.leaf.cum_units]
    tree = ClaimTree(earned, chain_id=CHAIN_ID, channels=CHANNELS, epoch=epoch)
    assert tree.root == octets(described["root"])
    for entry in described["leaves"]:
        relay = int(entry["relay"])
        assert read[relay].leaf.hash(CHAIN_ID, CHANNELS, epoch) == octets(entry["hash"])
        assert tree.prove(relay) == read[relay]
        assert read[relay].root(CHAIN_ID, CHANNELS, epoch) == tree.root


leaves = st.dictionaries(relays, st.tuples(u64, u128, u32), max_size=6)


@given(leaves, st.lists(relays, max_size=4))
def test_every_place_is_proven_under_the_root(found, others):
    tree = ClaimTree(
        [ClaimLeaf(relay, *values) for relay, values in found.items()],
        chain_id=1,
        channels=CHANNELS,
        epoch=3,
    )
    for relay in [*found, *others]:
        proven = tree.prove(relay)
        assert proven.root(1, CHANNELS, 3) == tree.root
        assert ProvenLeaf.from_json(proven.to_json(), relay) == proven
        other = ClaimLeaf(relay, proven.leaf.epoch_units ^ 1, proven.leaf.cum_units, 1)
        assert ProvenLeaf(other, proven.path).root(1, CHANNELS, 3) != tree.root


@given(leaves)
def test_the_contract_is_shown_no_empty_trees_at_the_top(found):
    tree = ClaimTree(
        [ClaimLeaf(relay, *values) for relay, values in found.items()],
        chain_id=1,
        channels=CHANNELS,
        epoch=3,
    )
    empty = ClaimTree([], chain_id=1, channels=CHANNELS, epoch=3).path(0)
    for relay in found:
        proven = tree.prove(relay)
        shown = proven.values()[-1]
        assert 10 <= len(shown) <= TREE_DEPTH
        assert tuple(shown) + empty[len(shown) :] == proven.path
        assert len(shown) == 10 or shown[-1] != empty[len(shown) - 1]


def test_an_empty_tree_is_all_zeros():
    tree = ClaimTree([], chain_id=1, channels=CHANNELS, epoch=0)
    node = NOTHING
    for _ in range(TREE_DEPTH):
        node = keccak256(node + node)
    assert tree.root == node
    assert tree.prove(5).leaf.hash(1, CHANNELS, 0) == NOTHING


@pytest.mark.parametrize("relays", [(3, 3), (1 << TREE_DEPTH,), (-1,)])
def test_a_tree_has_one_place_for_a_relay(relays):
    with pytest.raises(LocalProtocolError):
        ClaimTree(
            [ClaimLeaf(relay, 1, 1, 1) for relay in relays],
            chain_id=1,
            channels=CHANNELS,
            epoch=0,
        )


def test_a_leaf_belongs_to_one_epoch_chain_and_contract():
    leaf = ClaimLeaf(1, 2, 3, 4)
    places = {leaf.hash(1, CHANNELS, 5), leaf.hash(2, CHANNELS, 5), leaf.hash(1, CHANNELS, 6)}
    assert len(places | {leaf.hash(1, b"\x01" * 20, 5)}) == 4


@given(st.builds(Closing, u32, u128, words))
def test_closings_round_trip(closing):
    assert Closing.decode(closing.encode()) == closing
    assert len(closing.encode()) == 52


@given(st.builds(Attestation, u32, words, u128, u64, words))
def test_attestations_round_trip(attestation):
    assert Attestation.decode(attestation.encode()) == attestation
    assert len(attestation.encode()) == 92


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data):
    for kind in (Closing, Attestation):
        with suppress(DecodeError):
            assert kind.decode(data).encode() == data


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.one_of(
        json_values,
        st.fixed_dictionaries(
            dict.fromkeys(("epoch_units", "cum_units", "tokens", "path"), json_values)
        ),
    )
)
def test_any_json_is_read_or_refused(value):
    with suppress(DecodeError):
        assert ProvenLeaf.from_json(value, 1).to_json() == value


def test_a_path_has_sixteen_words():
    value = ProvenLeaf.nothing(1).to_json()
    with pytest.raises(DecodeError, match="17 words"):
        ProvenLeaf.from_json({**value, "path": [*value["path"], value["path"][0]]}, 1)


def test_tokens_are_shown_in_ascending_order():
    tokens = redemption().tokens
    shown = Redeem.of(1, 7, reversed(tokens))
    assert sorted(token.token_id for token in tokens) == [t.token_id for t in shown.tokens]
    other = Redeem(1, 7, shown.tokens[::-1])
    assert other.digest(DOMAIN) != shown.digest(DOMAIN)
