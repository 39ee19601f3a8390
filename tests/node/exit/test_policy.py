from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ExitPolicyError
from node.exit.policy import ExitPolicy, Refusal
from node.exit.rules import MAX_TEXT_BYTES, PRESETS
from tests.node.exit.policies import policies

PUBLIC = ip_address("93.184.216.34")


@pytest.mark.parametrize("text", ["127.0.0.1", "fe80::1", "::ffff:169.254.169.254", "2002:808::"])
def test_what_is_no_public_host_is_refused_before_any_rule(text):
    assert ExitPolicy.parse("accept *:*").refusal(ip_address(text), 443) is Refusal.PRIVATE


@pytest.mark.parametrize("text", ["::ffff:93.184.216.34", "64:ff9b::93.184.216.34"])
def test_rules_for_ipv4_hold_for_ipv4_inside_ipv6(text):
    policy = ExitPolicy.parse("accept *6:*, reject 93.184.216.34:*, accept *:*")
    assert policy.refusal(ip_address(text), 443) is Refusal.POLICY
    other = ip_address(text.replace("34", "35"))
    assert policy.refusal(other, 443) is None


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


DESTINATIONS = st.tuples(st.ip_addresses(), st.integers(0, 65_535))


@given(policies(), DESTINATIONS)
def test_the_canonical_text_decides_the_same(text, destination):
    policy = ExitPolicy.parse(text)
    canonical = policy.canonical()
    again = ExitPolicy.parse(canonical)
    assert again.canonical() == canonical
    assert again.refusal(*destination) is policy.refusal(*destination)
    assert again.is_exit == policy.is_exit


@given(policies(), DESTINATIONS)
def test_the_verdict_is_the_refusal_explained(text, destination):
    policy = ExitPolicy.parse(text)
    verdict = policy.judge(*destination)
    assert verdict.refusal is policy.refusal(*destination)
    assert verdict.why
    if verdict.rule is not None:
        assert verdict.rule in policy.rules
        assert (verdict.refusal is None) == verdict.rule.accept


def test_a_verdict_names_rule_line_and_use():
    policy = ExitPolicy.parse("# mine\nreject 93.184.0.0/16:25\n\naccept *:*")
    verdict = policy.judge(PUBLIC, 25)
    assert (verdict.refusal, verdict.rule.line) == (Refusal.POLICY, 2)
    assert "reject 93.184.0.0/16:25" in verdict.why
    assert policy.judge(PUBLIC, 80).rule.line == 4
    assert "link-local" in policy.judge(ip_address("169.254.169.254"), 80).why
    assert "no rule matches" in ExitPolicy.parse("none").judge(PUBLIC, 0).why


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("none", "nothing"),
        ("reject *:*, accept *:80", "nothing"),
        ("web", "ports 80,443"),
        ("reduced", "ports reduced"),
        ("open", "ports 1-24,26-65535"),
        ("accept *:*", "every port"),
        ("reject 1.0.0.0/8:*, web", "ports 80,443, with exceptions by address"),
        ("accept 1.0.0.0/8:80", "no port, with exceptions by address"),
        ("accept *:80, reject *:80-90, accept *:*", "ports 1-80,91-65535"),
    ],
)
def test_summaries(text, summary):
    assert ExitPolicy.parse(text).summary() == summary


def test_long_summaries_are_cut_at_a_port():
    policy = ExitPolicy.parse("accept *:" + ",".join(str(port) for port in range(1000, 1100, 2)))
    said = policy.summary()
    assert said.endswith(",...")
    assert len(said) < 90
    assert set(said.removeprefix("ports ").removesuffix(",...").split(",")) <= set(
        policy.canonical().removeprefix("accept *:").split(",")
    )


def test_port_0_is_never_allowed():
    assert ExitPolicy.parse("accept *:*", allow_private=True).refusal(PUBLIC, 0) is Refusal.POLICY


def test_a_policy_that_is_too_long_for_a_descriptor_is_refused():
    text = ",".join(f"accept 1.1.1.{number}:1" for number in range(215))
    assert len(text) < MAX_TEXT_BYTES
    with pytest.raises(ExitPolicyError, match="too long"):
        ExitPolicy.parse(text)
