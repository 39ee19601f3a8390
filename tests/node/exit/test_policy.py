from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ExitPolicyError
from node.exit.policy import PRESETS, ExitPolicy, Refusal, is_private, parse_address

PUBLIC = ip_address("93.184.216.34")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_private_addresses_are_refused_in_every_spelling(text):
    address = ip_address(text)
    assert is_private(address)
    assert ExitPolicy.parse("accept *:*").refusal(address, 443) is Refusal.PRIVATE


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_not_private(text):
    assert not is_private(ip_address(text))


def test_the_devnet_flag_admits_private_addresses_but_keeps_the_rules():
    policy = ExitPolicy.parse("accept *:80", allow_private=True)
    assert policy.refusal(ip_address("127.0.0.1"), 80) is None
    assert policy.refusal(ip_address("127.0.0.1"), 81) is Refusal.POLICY


def test_the_first_matching_rule_decides():
    policy = ExitPolicy.parse("reject 93.184.0.0/16:443, accept *:443")
    assert policy.refusal(PUBLIC, 443) is Refusal.POLICY
    assert policy.refusal(ip_address("1.1.1.1"), 443) is None
    assert policy.refusal(ip_address("2606:4700::1111"), 443) is None


def test_what_no_rule_matches_is_refused():
    assert ExitPolicy.parse("accept *:443").refusal(PUBLIC, 80) is Refusal.POLICY
    assert ExitPolicy.parse("").refusal(PUBLIC, 80) is Refusal.POLICY


@pytest.mark.parametrize(
    ("preset", "port", "allowed"),
    [
        ("none", 443, False),
        ("web", 443, True),
        ("web", 22, False),
        ("reduced", 22, True),
        ("reduced", 6667, True),
        ("reduced", 25, False),
        ("open", 25, False),
        ("open", 1, True),
        ("open", 65_535, True),
    ],
)
def test_presets(preset, port, allowed):
    policy = ExitPolicy.parse(preset)
    assert (policy.refusal(PUBLIC, port) is None) is allowed
    assert policy.may_reach(port) is allowed


def test_may_reach_looks_past_rules_about_some_addresses():
    assert ExitPolicy.parse("reject 10.0.0.0/8:80, accept *:80").may_reach(80)
    assert not ExitPolicy.parse("reject *:80, accept *:*").may_reach(80)


def test_is_exit():
    assert ExitPolicy.parse("web").is_exit
    assert not ExitPolicy.parse("none").is_exit


def test_comments_and_lines_are_read():
    policy = ExitPolicy.parse("# mine\naccept [2606:4700::]/32:443\nreject *:*\n")
    assert policy.refusal(ip_address("2606:4700::1111"), 443) is None


@pytest.mark.parametrize(
    "text",
    [
        "allow *:80",
        "accept *",
        "accept *:x",
        "accept *:0",
        "accept *:80-",
        "accept *:90-80",
        "accept *:70000",
        "accept 1.2.3:80",
        "accept *:80 extra",
        "accept *:²",
        "accept *:80," * 300,
        "#" * 5000,
    ],
)
def test_malformed_policies_are_refused(text):
    with pytest.raises(ExitPolicyError):
        ExitPolicy.parse(text)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text):
    try:
        policy = ExitPolicy.parse(text)
    except ExitPolicyError:
        return
    policy.refusal(PUBLIC, 80)
    policy.may_reach(80)


@given(st.ip_addresses(), st.integers(1, 65_535), st.sampled_from(sorted(PRESETS)))
def test_may_reach_never_hides_an_allowed_destination(address, port, preset):
    policy = ExitPolicy.parse(preset, allow_private=True)
    if policy.refusal(address, port) is None:
        assert policy.may_reach(port)


def test_parse_address():
    assert parse_address("[::1]") == ip_address("::1")
    assert parse_address("example.org") is None
