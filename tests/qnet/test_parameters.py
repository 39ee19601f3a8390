import pytest
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from qnet.errors import ConfigError, DecodeError, NotFoundError, UsageError
from qnet.parameters import BOUNDS, NetworkParameters, parameter_key


@pytest.mark.parametrize("profile", ["main", "devnet"])
def test_profiles_lie_within_their_bounds(profile):
    parameters = NetworkParameters.profile(profile)
    assert NetworkParameters.from_map(parameters.to_map()) == parameters


def test_profiles_of_the_design():
    main = NetworkParameters.profile("main")
    assert (main.slot_s, main.slots_per_epoch, main.key_phase_s) == (3600, 24, 600)
    assert main.link_rekey_s == main.circuit_rekey_s == 600
    assert main.min_bond_wei * 10 == main.stake_reference_wei
    weights = (
        main.weight_entry_ppm + main.weight_relay_ppm + main.weight_mix_ppm + main.weight_exit_ppm
    )
    assert weights == 1_000_000


def test_stakes_and_disputes_of_the_design():
    main, day = NetworkParameters.profile("main"), 86_400
    assert main.delegation_factor == 9
    assert (main.margin_min_ppm, main.slot_edge_ppm) == (100_000, 100_000)
    assert main.terms_delay_s == main.unbond_s == 21 * day
    assert main.unbond_s >= main.evidence_s + main.escrow_s
    assert (main.slash_receipts_ppm, main.slash_cap_ppm) == (50_000, 100_000)
    assert (main.slash_window_s, main.stream_s, main.jail_s) == (30 * day, 7 * day, 7 * day)
    assert main.challenger_ppm == 50_000
    assert main.challenge_bond_wei * 100 == main.emission_wei


@pytest.mark.parametrize("profile", ["main", "devnet"])
def test_a_demanded_leaf_can_be_shown_within_the_window(profile):
    parameters = NetworkParameters.profile(profile)
    assert parameters.demand_answer_s < parameters.challenge_window_s
    assert parameters.challenge_open_s < parameters.evidence_s


@given(st.sampled_from(sorted(BOUNDS)), st.integers(-5, 10**28))
def test_hash_is_the_abi_encoding_the_contract_hashes(name, value):
    parameters = NetworkParameters.profile("devnet")
    bounds = BOUNDS[name]
    if bounds.low <= value <= bounds.high:
        parameters = parameters.with_value(name, value)
    else:
        with pytest.raises(UsageError, match=name):
            parameters.with_value(name, value)
    values = parameters.to_map()
    encoded = encode(
        ["bytes32[]", "uint256[]"], [[parameter_key(key) for key in values], list(values.values())]
    )
    assert parameters.hash() == keccak(encoded)


def test_unknown_and_missing_keys():
    parameters = NetworkParameters.profile("devnet")
    with pytest.raises(NotFoundError):
        parameters.with_value("slot_hours", 1)
    values = parameters.to_map()
    values.pop("slot_s")
    with pytest.raises(DecodeError, match="slot_s"):
        NetworkParameters.from_map(values)
    with pytest.raises(DecodeError, match="out of bounds"):
        NetworkParameters.from_map({**parameters.to_map(), "slot_s": 0})
    with pytest.raises(DecodeError, match="integer"):
        NetworkParameters.from_map({**parameters.to_map(), "slot_s": True})


def test_devnet_periods_are_refused_elsewhere():
    devnet = NetworkParameters.profile("devnet")
    devnet.check_chain(31337)
    with pytest.raises(ConfigError, match="chain 1"):
        devnet.check_chain(1)
    NetworkParameters.profile("main").check_chain(1)


def test_no_vote_may_shrink_a_real_networks_periods_to_a_moment():
    bounds = BOUNDS["timelock_s"]
    assert bounds.low_on(31337) == 1
    assert bounds.low_on(1) == bounds.main // 4
    assert BOUNDS["streams_per_circuit_max"].low_on(1) == 1
    for name, item in BOUNDS.items():
        assert item.low_on(1) <= item.main, name
