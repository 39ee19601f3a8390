import os
from pathlib import Path

from tools.bench.place import HERE, Place
from tools.bench.torrc import TorNode, authority_line, configuration

FINGERPRINT, V3 = "AB12" * 10, "CD34" * 10


def authority():
    return TorNode("authority0", HERE, Path("/x/a0"), 4001, 4002, FINGERPRINT, V3)


def options(node, **more):
    return configuration(node, [authority()], **more).splitlines()


def test_an_authority_is_named_with_both_fingerprints():
    assert authority_line(authority()) == (
        f"DirAuthority authority0 orport=4001 no-v2 v3ident={V3} 127.0.0.1:4002 "
        + " ".join(["AB12"] * 10)
    )


def test_every_node_trusts_only_the_private_authorities():
    nodes = [authority(), TorNode("exit", HERE, Path("/x/exit"), 4003), client()]
    for node in nodes:
        lines = options(node)
        assert "TestingTorNetwork 1" in lines
        assert "UseDefaultFallbackDirs 0" in lines
        assert f"__OwningControllerProcess {os.getpid()}" in lines
        assert [line for line in lines if line.startswith("DirAuthority")] == [
            authority_line(authority())
        ]


def client():
    return TorNode("client", HERE, Path("/x/client"))


def test_the_client_is_pinned_to_the_path():
    lines = options(client(), socks_port=9999)
    assert "SocksPort 127.0.0.1:9999" in lines
    assert {"EntryNodes entry", "MiddleNodes relay", "ExitNodes exit"} <= set(lines)
    assert not [line for line in lines if line.startswith(("ORPort", "ExitPolicy "))]


def test_only_the_exit_lets_out():
    there = Place("198.51.100.1", "somewhere")
    lines = options(TorNode("relay", there, Path("/x/relay"), 4004))
    assert "ORPort 198.51.100.1:4004" in lines
    assert "ExitPolicy reject *:*" in lines
    assert "ExitPolicy accept *:*" in options(TorNode("exit", HERE, Path("/x/exit"), 4003))


def test_only_authorities_vote():
    assert "V3AuthVotingInterval 20" in options(authority())
    assert not [line for line in options(client()) if line.startswith("V3Auth")]
