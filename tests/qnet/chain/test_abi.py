import contextlib
import json

import pytest
from eth_abi import encode
from eth_utils.abi import abi_to_signature, event_abi_to_log_topic
from hypothesis import given
from hypothesis import strategies as st

from qnet.chain.abi import Abi, decode_values, encode_values
from qnet.chain.artifact import ARTIFACTS, all_artifacts, load_artifact
from qnet.chain.reverts import decode_revert
from qnet.errors import LocalProtocolError, NotFoundError, RemoteProtocolError

addresses = st.binary(min_size=20, max_size=20)
words = st.integers(0, 2**256 - 1)


@given(addresses, words, st.lists(st.tuples(addresses, st.text(max_size=20)), max_size=4))
def test_values_come_back_as_they_went(address, word, members):
    kinds = ["address", "uint256", "(address,string)[]"]
    assert decode_values(kinds, encode_values(kinds, [address, word, members])) == (
        address,
        word,
        tuple(members),
    )


@given(st.binary(max_size=400))
def test_decoding_never_crashes(data):
    for kinds in (["address"], ["string", "bytes"], ["(uint32,bytes32)[]"], ["uint8"]):
        with contextlib.suppress(RemoteProtocolError):
            decode_values(kinds, data)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("uint8", 256), ("uint256", -1), ("address", b"\0" * 19), ("bytes32", b"\0" * 33)],
)
def test_values_that_do_not_fit_are_refused(kind, value):
    with pytest.raises(LocalProtocolError):
        encode_values([kind], [value])


@pytest.mark.parametrize("artifact", all_artifacts(), ids=lambda artifact: artifact.name)
def test_signatures_and_topics_are_those_of_eth_utils(artifact):
    raw = json.loads((ARTIFACTS / f"{artifact.name}.json").read_text())["abi"]
    for entry in raw:
        if entry["type"] == "function":
            signature = abi_to_signature(entry)
            assert artifact.abi.function(signature).signature == signature
        elif entry["type"] == "event" and not entry["anonymous"]:
            assert artifact.abi.events[event_abi_to_log_topic(entry)].name == entry["name"]


def test_overloads_need_their_signature():
    abi = load_artifact("QNetGovernor").abi
    with pytest.raises(NotFoundError, match="2 functions"):
        abi.function("queue")
    assert abi.function("queue(uint256)").name == "queue"


def test_functions_are_found_by_selector():
    abi = load_artifact("StakeHub").abi
    entry = abi.function("bond")
    assert abi.function_by_selector(entry.encode_call([1, 2])[:4]) == entry
    assert abi.function_by_selector(b"\0\0\0\0") is None


def test_wrong_number_of_arguments():
    abi = load_artifact("StakeHub").abi
    with pytest.raises(LocalProtocolError, match="1 arguments"):
        abi.function("bond").encode_call([1])
    with pytest.raises(LocalProtocolError, match="constructor takes"):
        abi.encode_constructor([])


def test_unknown_names():
    with pytest.raises(NotFoundError, match="no compiled contract"):
        load_artifact("Nothing")
    with pytest.raises(NotFoundError, match="no event"):
        load_artifact("StakeHub").abi.event("Nothing")


def test_indexed_text_stays_hashed():
    abi = Abi(
        [
            {
                "type": "event",
                "name": "Named",
                "anonymous": False,
                "inputs": [
                    {"name": "name", "type": "string", "indexed": True},
                    {"name": "size", "type": "uint256", "indexed": False},
                ],
            }
        ]
    )
    entry = abi.event("Named")
    found = entry.decode_log([entry.hash, b"\7" * 32], encode(["uint256"], [5]))
    assert found == {"name": b"\7" * 32, "size": 5}
    with pytest.raises(RemoteProtocolError, match="1 topics"):
        entry.decode_log([entry.hash], b"")


def test_reverts_are_named():
    selector = load_artifact("Parameters").abi
    entry = next(entry for entry in selector.errors.values() if entry.name == "OutOfBounds")
    data = entry.hash[:4] + encode(["bytes32", "uint256", "uint256", "uint256"], [b"k", 9, 1, 5])
    error = decode_revert(data, fallback="", target="Parameters.set")
    assert error.name == "OutOfBounds"
    assert error.arguments["value"] == 9
    assert error.why.endswith("; called Parameters.set")
    assert "outside the bounds" in error.why


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", ""),
        (b"\x08\xc3\x79\xa0" + encode(["string"], ["sorry"]), "Error"),
        (b"\x4e\x48\x7b\x71" + encode(["uint256"], [0x11]), "Panic"),
        (b"\x01\x02\x03\x04", "unknown error"),
        (b"\x08\xc3\x79\xa0" + b"\xff" * 40, "Error"),
    ],
)
def test_foreign_and_damaged_reverts(data, name):
    error = decode_revert(data, fallback="execution reverted: full", target="something")
    assert error.name == name


@given(st.binary(max_size=200))
def test_any_revert_data_makes_an_error(data):
    assert decode_revert(data, fallback="", target="x").exit_code == 9
