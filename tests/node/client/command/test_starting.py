import pytest

from node.client.command.starting import configure, want_messages
from node.config import ClientConfig
from qnet.config import load_toml
from qnet.errors import ConfigError, UsageError

NONE = {"socks": "", "http": "", "dns": ""}


def written(home, **listens):
    configure(home, home / "network.json", NONE | listens)
    return load_toml(home / "client.toml", ClientConfig)


def test_a_first_start_opens_socks_and_http_at_their_usual_places(tmp_path):
    config = written(tmp_path / "new")
    assert [section.listen for section in config.socks] == ["127.0.0.1:9150"]
    assert [section.listen for section in config.http] == ["127.0.0.1:9151"]
    assert config.dns == ()


def test_only_named_ports_open(tmp_path):
    config = written(tmp_path, dns="127.0.0.1:5353", http="[::1]:1")
    assert config.socks == ()
    assert config.http[0].listen == "[::1]:1"
    assert config.dns[0].max_connections == 256


def test_a_later_start_keeps_the_file(tmp_path):
    written(tmp_path, socks="127.0.0.1:1")
    configure(tmp_path, None, NONE)
    assert load_toml(tmp_path / "client.toml", ClientConfig).socks[0].listen == "127.0.0.1:1"


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"client\.toml"):
        configure(tmp_path, None, NONE)
    with pytest.raises(UsageError, match="--bundle"):
        configure(tmp_path, None, NONE | {"socks": "127.0.0.1:1"})
    with pytest.raises(UsageError, match="host:port"):
        configure(tmp_path, tmp_path / "n.json", NONE | {"http": "9150"})


def test_messages_are_wanted_once_and_for_all(tmp_path):
    configure(tmp_path, tmp_path / "network.json", NONE)
    want_messages(tmp_path)
    text = (tmp_path / "client.toml").read_text()
    assert load_toml(tmp_path / "client.toml", ClientConfig).mix.messages
    want_messages(tmp_path)
    assert (tmp_path / "client.toml").read_text() == text


def test_a_section_that_says_otherwise_is_left_to_its_owner(tmp_path):
    configure(tmp_path, tmp_path / "network.json", NONE)
    path = tmp_path / "client.toml"
    path.write_text(path.read_text() + "\n[mix]\nmessages = false\n")
    with pytest.raises(ConfigError):
        want_messages(tmp_path)
