from ipaddress import ip_address

import pytest

from node.config import NodeConfig
from node.errors import ExitPolicyError, NodeConfigError
from node.exit.service import (
    configured_policy,
    make_connector,
    outbound_addresses,
    own_addresses,
)
from node.io.metrics import Counters
from tests.node.exit.rig import PARAMETERS


def config(role="exit", metrics="127.0.0.1:9090", **exit_):
    return NodeConfig(
        node={"role": role, "listen": "0.0.0.0:443", "advertise": "93.184.216.34:443", "sni": "x"},
        keys={"passphrase_file": "/x"},
        metrics={"listen": metrics},
        exit=exit_,
    )


def connector(configuration, counters=None):
    return make_connector(
        configuration,
        parameters=lambda: PARAMETERS,
        counters=counters or Counters(),
        spawn=lambda work: work.close(),
        now=lambda: 0.0,
    )


def test_only_exits_have_a_policy():
    assert configured_policy(config(policy="web")).canonical() == "web"
    assert not configured_policy(config("relay", policy="web")).is_exit
    with pytest.raises(ExitPolicyError):
        configured_policy(config(policy="accept all"))


def test_an_exit_does_what_its_configuration_says():
    counters = Counters()
    made = connector(
        config(policy="web", allow_private=True, dns="127.0.0.1:5300", outbound=["127.3.3.3"]),
        counters,
    )
    assert made.policy.canonical() == "web"
    assert made.policy.allow_private
    assert made.timeout_s() == PARAMETERS.stream_connect_s
    assert made.sources == {4: ip_address("127.3.3.3")}
    made.on_refusal("own")
    assert counters.policy_rejects == {"own": 1}


@pytest.mark.parametrize("dns", ["example.org", "1.1.1.1:dns"])
def test_dns_servers_must_be_addresses(dns):
    with pytest.raises(NodeConfigError):
        connector(config(dns=dns))


def test_everything_the_node_listens_on_is_its_own():
    own = own_addresses(config(allow_private=True, notice_listen="10.0.0.7:80"))
    for address, port in (
        ("127.0.0.1", 9090),
        ("93.184.216.34", 443),
        ("10.0.0.7", 80),
        ("127.9.9.9", 443),
    ):
        assert own.include(ip_address(address), port)
    assert not own.include(ip_address("127.0.0.1"), 80)
    assert own_addresses(config()).include(ip_address("93.184.216.34"), 22)


def test_outbound_addresses_are_one_of_each_family():
    found = outbound_addresses(("192.0.2.1", "2001:db8::1"))
    assert found == {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")}
    for wrong in (("192.0.2.1", "192.0.2.2"), ("example.org",)):
        with pytest.raises(NodeConfigError):
            outbound_addresses(wrong)
