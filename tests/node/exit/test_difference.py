from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.exit.address import MAPPED, NAT64, SPECIAL, judged
from node.exit.difference import Change, answers_on, difference, idle_rules
from node.exit.policy import ExitPolicy
from tests.node.exit.policies import policies


def rows(old, new):
    parse = ExitPolicy.parse
    return [tuple(c.as_row().values()) for c in difference(parse(old), parse(new))]


def boundary_points(*given_policies):
    """Addresses at and beside every edge of a rule, with ports at and beside theirs."""
    numbers: dict[int, set[int]] = {4: set(), 6: set()}
    ports = {1, 65_535}
    for network in map(ip_network, SPECIAL):
        low, high = int(network.network_address), int(network.broadcast_address)
        numbers[network.version] |= {low - 1, low, high, high + 1}
    for rule in (rule for policy in given_policies for rule in policy.rules):
        if rule.network is not None:
            low, high = int(rule.network.network_address), int(rule.network.broadcast_address)
            numbers[rule.network.version] |= {low - 1, low, high, high + 1}
        for low, high in rule.ports[:3]:
            ports |= {low - 1, low, high, high + 1}
    for version, kind in ((4, IPv4Address), (6, IPv6Address)):
        for number in numbers[version]:
            if 0 <= number < 2 ** kind(0).max_prefixlen:
                yield from ((kind(number), port) for port in ports)


def agree(old, new, changes, address, port):
    """Whether the changes say about a destination what the two policies say."""
    was, now = old.refusal(address, port) is None, new.refusal(address, port) is None
    address = judged(address)
    said = {change.allowed for change in changes if change.covers(address, port)}
    if not was and not now:
        # rows pass over special addresses, which both refuse
        return not said or old.judge(address, port).rule is None
    return said == (set() if was == now else {now})


@settings(max_examples=50)
@given(policies(), policies(), st.lists(st.tuples(st.ip_addresses(), st.integers(0, 65_535))))
def test_changes_are_what_the_policies_decide_differently(one, two, sampled):
    old, new = ExitPolicy.parse(one), ExitPolicy.parse(two)
    changes = difference(old, new)
    points = [*boundary_points(old, new), *sampled]
    assert all(agree(old, new, changes, *point) for point in points)
    differ = any(old.refusal(*point) is not new.refusal(*point) for point in points)
    assert differ == bool(changes)


@settings(max_examples=50)
@given(policies(), policies())
def test_development_policies_are_compared_over_private_addresses_too(one, two):
    old = ExitPolicy.parse(one, allow_private=True)
    new = ExitPolicy.parse(two)
    changes = difference(old, new)
    for address, port in boundary_points(old, new):
        was, now = old.refusal(address, port) is None, new.refusal(address, port) is None
        if judged(address) == address:
            said = {change.allowed for change in changes if change.covers(address, port)}
            assert said == (set() if was == now else {now})


@given(policies(), policies())
def test_the_other_way_round_is_the_opposite(one, two):
    old, new = ExitPolicy.parse(one), ExitPolicy.parse(two)
    there = {(c.allowed, c.first, c.last, c.ports) for c in difference(old, new)}
    back = {(not c.allowed, c.first, c.last, c.ports) for c in difference(new, old)}
    assert there == back


@given(policies())
def test_the_canonical_text_differs_in_nothing(text):
    policy = ExitPolicy.parse(text)
    assert difference(policy, ExitPolicy.parse(policy.canonical())) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("web", "accept *:443, accept *:80", []),
        ("web", "accept *:443", [("refused", "*4", "80"), ("refused", "*6", "80")]),
        (
            "none",
            "open",
            [("allowed", "*4", "1-24,26-65535"), ("allowed", "*6", "1-24,26-65535")],
        ),
        ("reject 1.2.3.0/24:*, web", "web", [("allowed", "1.2.3.0/24", "80,443")]),
        ("web", "reject 1.2.3.4:80, web", [("refused", "1.2.3.4", "80")]),
        ("web", "reject [2606::]/16:*, web", [("refused", "2606::/16", "80,443")]),
        (
            "web",
            "reject 1.2.3.0/24:80, reject 1.2.4.0/24:80, web",
            [("refused", "1.2.3.0 - 1.2.4.255", "80")],
        ),
        ("accept *4:80", "accept *6:80", [("refused", "*4", "80"), ("allowed", "*6", "80")]),
        ("web", "reject 10.0.0.0/8:*, reject [fe80::]/10:*, web", []),
        ("reject *:1-100, accept *:*", "reject *:1-50, reject *:51-100, open", []),
    ],
)
def test_changes_are_told_in_few_rows(old, new, expected):
    assert rows(old, new) == expected


def test_a_development_policy_differs_by_its_private_addresses():
    changes = difference(ExitPolicy.parse("web"), ExitPolicy.parse("web", allow_private=True))
    ends = {(change.first, change.last) for change in changes}
    assert all(change.allowed for change in changes)
    assert (ip_address("10.0.0.0"), ip_address("10.255.255.255")) in ends
    special = [text for text in SPECIAL if "." in text]  # 224.0.0.0/4 and 240.0.0.0/4 touch
    assert len(special) - 1 == sum(change.first.version == 4 for change in changes)


def test_the_number_of_changes_is_bounded_by_the_rules():
    old = ",".join(f"reject {i}.0.0.0/8:80" for i in range(1, 255, 2))
    new = ",".join(f"reject {i}.0.0.0/8:443" for i in range(2, 255, 2))
    assert len(difference(ExitPolicy.parse(old + ",web"), ExitPolicy.parse(new + ",web"))) < 1024


def test_rules_that_never_decide_are_named():
    policy = ExitPolicy.parse(
        "reject 10.0.0.0/8:*\naccept 1.0.0.0/8:80\naccept 1.2.3.4:80\nweb\naccept *:22"
    )
    assert [(rule.line, str(rule)) for rule in idle_rules(policy)] == [
        (1, "reject 10.0.0.0/8:*"),
        (3, "accept 1.2.3.4:80"),
        (5, "accept *:22"),
    ]
    assert idle_rules(ExitPolicy.parse("reject 10.0.0.0/8:*, web", allow_private=True)) == []


@given(policies(4), st.data())
def test_a_rule_that_never_decides_can_be_left_out(text, data):
    policy = ExitPolicy.parse(text)
    idle = idle_rules(policy)
    left = tuple(rule for rule in policy.rules if not any(rule is other for other in idle))
    assert difference(policy, ExitPolicy(left)) == []


@pytest.mark.parametrize(
    ("text", "port", "answers"),
    [
        ("web", 443, {True}),
        ("web", 22, {False}),
        ("reject 10.0.0.0/8:*, web", 443, {True}),
        ("reject 1.0.0.0/8:*, web", 443, {True, False}),
        ("accept *4:443", 443, {True, False}),
        ("accept *4:443, accept *6:400-500", 443, {True}),
    ],
)
def test_answers_on_one_port(text, port, answers):
    assert answers_on(ExitPolicy.parse(text), port) == answers


def test_embedded_prefixes_are_no_addresses_of_their_own():
    for change in difference(ExitPolicy.parse("none"), ExitPolicy.parse("accept *:*")):
        assert isinstance(change, Change)
        assert change.addresses() in {"*4", "*6"}
    assert NAT64.version == MAPPED.version == 6
