import re

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from qnet.address import checksum_address
from qnet.crypto.keys import keccak256
from qnet.eip712 import digest, domain_separator, hash_struct, qnet_domain, type_hash
from qnet.errors import LocalProtocolError

CONTRACT = bytes(range(20))
MAIL = "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
RECEIPT = (
    "LinkReceipt(uint32 epoch,uint16 slot,uint32 nodeFrom,uint32 nodeTo,uint8 side,"
    "uint64 packets,bytes32 sampleRoot)"
)
EVERYTHING = (
    "Everything(int8 small,int256 large,bool flag,bytes4 tag,bytes data,string text,"
    "address who,uint16[] numbers,Item[2] items)Item(uint256 id,string[] names)"
)


def parse(type_string):
    """The types as eth-account wants them."""
    types = {}
    for name, fields in re.findall(r"(\w+)\(([^()]*)\)", type_string):
        types[name] = [
            {"type": part.split(" ")[0], "name": part.split(" ")[1]}
            for part in fields.split(",")
            if part
        ]
    return types


def named(types, name, values):
    """Positional values as the dictionaries eth-account wants."""
    result = {}
    for field, value in zip(types[name], values, strict=True):
        base = field["type"].split("[")[0]
        if base in types:
            nested = (
                [named(types, base, item) for item in value]
                if "[" in field["type"]
                else named(types, base, value)
            )
            result[field["name"]] = nested
        elif field["type"] == "address":
            result[field["name"]] = checksum_address(value)
        else:
            result[field["name"]] = value
    return result


def oracle(type_string, values, chain_id, contract):
    types = parse(type_string)
    main = type_string.split("(", 1)[0]
    signable = encode_typed_data(
        domain_data={
            "name": "QNet",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": checksum_address(contract),
        },
        message_types=types,
        message_data=named(types, main, values),
    )
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


def test_the_example_of_the_standard():
    """Source: EIP-712, Example.js."""
    domain = domain_separator("Ether Mail", "1", 1, bytes.fromhex("cc" * 20))
    cow = ("Cow", bytes.fromhex("cd2a3d9f938e13cd947ec05abc7fe734df8dd826"))
    bob = ("Bob", b"\xbb" * 20)
    assert domain.hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert type_hash(MAIL).hex() == (
        "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    )
    assert hash_struct(MAIL, (cow, bob, "Hello, Bob!")).hex() == (
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    )
    assert digest(domain, MAIL, (cow, bob, "Hello, Bob!")).hex() == (
        "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    )


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 2**63),
)
def test_receipts_hash_as_eth_account_says(epoch, slot, packets, root, chain_id):
    values = (epoch, slot, 1, 2, 1, packets, root)
    domain = qnet_domain(chain_id, CONTRACT)
    assert digest(domain, RECEIPT, values) == oracle(RECEIPT, values, chain_id, CONTRACT)


@given(
    st.integers(-128, 127),
    st.integers(-(2**255), 2**255 - 1),
    st.booleans(),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=70),
    st.text(max_size=40),
    st.lists(st.integers(0, 2**16 - 1), max_size=4),
    st.lists(st.text(max_size=8), max_size=3),
)
def test_every_kind_of_field_hashes_as_eth_account_says(
    small, large, flag, tag, data, text, numbers, names
):
    items = [(7, names), (8, [])]
    values = (small, large, flag, tag, data, text, CONTRACT, numbers, items)
    expected = oracle(EVERYTHING, values, 31337, CONTRACT)
    assert digest(qnet_domain(31337, CONTRACT), EVERYTHING, values) == expected


@pytest.mark.parametrize(
    ("type_string", "values"),
    [
        ("A(uint8 x)", (256,)),
        ("A(uint8 x)", (-1,)),
        ("A(int8 x)", (128,)),
        ("A(uint8 x)", (True,)),
        ("A(uint8 x)", ("1",)),
        ("A(uint7 x)", (1,)),
        ("A(bytes4 x)", (b"123",)),
        ("A(bytes33 x)", (b"1" * 33,)),
        ("A(address x)", (b"1" * 19,)),
        ("A(bool x)", (1,)),
        ("A(string x)", (b"1",)),
        ("A(bytes x)", ("1",)),
        ("A(uint8[2] x)", ([1],)),
        ("A(uint8[] x)", (1,)),
        ("A(B x)B(uint8 y)", (1,)),
        ("A(uint8 x)", ()),
        ("A(uint8 x)", (1, 2)),
        ("A(unknown x)", (1,)),
        ("", ()),
        ("A", ()),
        ("A(uint8)", (1,)),
        ("A(uint8 x", (1,)),
    ],
)
def test_what_does_not_fit_is_refused(type_string, values):
    with pytest.raises(LocalProtocolError):
        hash_struct(type_string, values)


def test_an_empty_structure_has_a_hash():
    assert hash_struct("Empty()", ()) == keccak256(keccak256(b"Empty()"))
