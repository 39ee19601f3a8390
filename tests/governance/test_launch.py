import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.launch import (
    load_allocations,
    load_parameters,
    load_seats,
    parse_allocation,
    parse_anchor,
)
from qnet.errors import ConfigError, NotFoundError, UsageError
from qnet.parameters import NetworkParameters

ACCOUNT = "0x" + "22" * 20


def test_single_values_come_after_the_file_and_the_profile(tmp_path):
    path = tmp_path / "parameters.toml"
    path.write_text("unbond_s = 70\nescrow_s = 11\n")
    found = load_parameters("devnet", path, ["escrow_s=12"])
    expected = NetworkParameters.profile("devnet").with_value("unbond_s", 70)
    assert found == expected.with_value("escrow_s", 12)
    assert load_parameters("main", None, []) == NetworkParameters.profile("main")


@pytest.mark.parametrize(
    "content", ["unbond_s = true", 'unbond_s = "7"', "unbond_s = 0", "nope = 1", "=", "a" * 2**21]
)
def test_files_with_other_values_are_config_errors(tmp_path, content):
    path = tmp_path / "parameters.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="parameters"):
        load_parameters("devnet", path, [])
    with pytest.raises(ConfigError):
        load_parameters("devnet", tmp_path / "none", [])


@pytest.mark.parametrize(
    "word", ["unbond_s", "unbond_s=", "unbond_s=-1", "unbond_s=x", "unbond_s=0"]
)
def test_words_with_other_values_are_usage_errors(word):
    with pytest.raises(UsageError):
        load_parameters("devnet", None, [word])


def test_a_word_for_no_parameter_is_not_found():
    with pytest.raises(NotFoundError):
        load_parameters("devnet", None, ["nope=1"])


def test_allocations_are_read_exactly(tmp_path):
    path = tmp_path / "holders.json"
    path.write_text(json.dumps({ACCOUNT: "1.5"}))
    expected = (bytes.fromhex(ACCOUNT[2:]), 15 * 10**17)
    assert load_allocations(path) == [expected]
    assert parse_allocation(f"{ACCOUNT}=1.5") == expected
    assert load_allocations(None) == []


@pytest.mark.parametrize("content", ["[]", "{", '{"0x1": "1"}', f'{{"{ACCOUNT}": "x"}}', "[[]]"])
def test_other_allocations_are_config_errors(tmp_path, content):
    path = tmp_path / "holders.json"
    path.write_text(content)
    if content != "[]":
        with pytest.raises(ConfigError):
            load_allocations(path)
    with pytest.raises(ConfigError):
        load_allocations(tmp_path / "none")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_committee_file_is_seats_or_a_config_error(tmp_path, data):
    path = tmp_path / "committee.json"
    path.write_bytes(data)
    try:
        assert load_seats(path) == []
    except ConfigError:
        return


@pytest.mark.parametrize("text", ["0x12", "zz" * 32, ""])
def test_anchors_have_32_bytes(text):
    with pytest.raises(UsageError):
        parse_anchor(text)


def test_an_allocation_needs_both_parts():
    with pytest.raises(UsageError):
        parse_allocation(ACCOUNT)
