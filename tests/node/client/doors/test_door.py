import pytest

from node.client.doors.door import checked_host, is_address, is_local_name
from node.errors import DoorError


@pytest.mark.parametrize("name", [b"", b"a" * 254, b"a b", b"a\n", b"\xc3\xa9", b"\x7f"])
def test_odd_hosts_are_refused(name):
    with pytest.raises(DoorError):
        checked_host(name)


def test_hosts_are_text():
    assert checked_host(b"xn--bcher-kva.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize("name", ["x.onion", "LOCAL", "a.b.local.", "nas.home.arpa", "x.internal"])
def test_names_of_other_systems(name):
    assert is_local_name(name)


@pytest.mark.parametrize("name", ["onion.example", "xlocal", "arpa", "1.2.3.4"])
def test_names_of_the_internet(name):
    assert not is_local_name(name)


def test_addresses():
    assert is_address("::1")
    assert not is_address("a.example")
