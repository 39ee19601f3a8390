import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import ValueRefusedError
from governance.proposal import (
    MAX_ACTIONS,
    Proposal,
    check_bounds,
    parameter_change,
    set_parameter_call,
)
from qnet.address import checksum_address
from qnet.crypto.keys import keccak256
from qnet.errors import NotFoundError, UsageError
from qnet.parameters import BOUNDS

PARAMETERS, PROPOSER = b"\x11" * 20, b"\x22" * 20


def change(**overrides):
    values = {
        "parameters": PARAMETERS,
        "name": "streams_per_circuit_max",
        "old": 512,
        "new": 8,
        "proposer": PROPOSER,
        "now": 1_800_000_000.0,
    }
    return parameter_change(**{**values, **overrides})


def test_id_is_the_governors_hash_of_the_parts():
    proposal = change()
    packed = encode(
        ["address[]", "uint256[]", "bytes[]", "bytes32"],
        [
            ["0x" + PARAMETERS.hex()],
            [0],
            [proposal.calldatas[0]],
            keccak256(proposal.description.encode()),
        ],
    )
    assert proposal.proposal_id == int.from_bytes(keccak256(packed), "big")


def test_call_data_is_set_with_padded_key():
    call = set_parameter_call("slot_s", 7)
    assert call[:4] == keccak256(b"set(bytes32,uint256)")[:4]
    assert call[4:36] == b"slot_s" + bytes(26)
    assert int.from_bytes(call[36:], "big") == 7


def test_description_ends_with_the_proposer_and_names_both_values():
    proposal = change(reason="fewer streams")
    assert proposal.description.endswith(f"#proposer={checksum_address(PROPOSER)}")
    assert proposal.title == "Set streams_per_circuit_max from 512 to 8"
    assert "fewer streams" in proposal.description


def test_repeating_a_proposal_later_gives_another_id():
    assert change().proposal_id != change(now=1_800_000_001.0).proposal_id


@given(st.sampled_from(sorted(BOUNDS)), st.integers(0, 2**256 - 1))
def test_bounds_are_checked_before_anything_is_sent(name, value):
    if BOUNDS[name].low <= value <= BOUNDS[name].high:
        check_bounds(name, value)
    else:
        with pytest.raises(ValueRefusedError, match="out of bounds"):
            check_bounds(name, value)


def test_unknown_parameter_and_no_change_are_refused():
    with pytest.raises(NotFoundError):
        change(name="speed_of_light")
    with pytest.raises(UsageError, match="already"):
        change(new=512)


def test_shapes_the_governor_refuses_are_refused_here():
    with pytest.raises(UsageError, match="actions"):
        Proposal((), (), (), "x")
    many = MAX_ACTIONS + 1
    with pytest.raises(UsageError, match="actions"):
        Proposal((PARAMETERS,) * many, (0,) * many, (b"",) * many, "x")
    with pytest.raises(UsageError, match="differ"):
        Proposal((PARAMETERS,), (0, 0), (b"",), "x")
    with pytest.raises(UsageError, match="longer"):
        Proposal((PARAMETERS,), (0,), (b"",), "x" * 9000)
