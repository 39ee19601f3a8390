from node.client.doors.pac import pac


def test_browsers_are_told_both_ports_and_never_direct():
    text = pac("127.0.0.1:9150", "127.0.0.1:9151")
    assert '"PROXY 127.0.0.1:9151; SOCKS5 127.0.0.1:9150"' in text
    assert "DIRECT" not in text
    assert "dnsResolve" not in text


def test_one_port_is_enough():
    assert '"SOCKS5 [::1]:1"' in pac("[::1]:1")
    assert '"PROXY 127.0.0.1:2"' in pac("", "127.0.0.1:2")
