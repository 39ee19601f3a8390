import secrets

import pytest

from node.errors import NodeConfigError
from node.htx.address import HtxAddress
from node.keys import (
    DAY_S,
    LINK_GRACE_S,
    LINK_LIFE_S,
    ONLINE_LIFE_S,
    ONLINE_RENEW_S,
    ServiceKeys,
    create_keys,
    load_keys,
    save_service,
)
from qnet.wallet.errors import KeyExistsError, WrongPassphraseError
from qnet.wallet.keystore import LIGHT

NOW = 1_790_000_000


def make(home):
    return create_keys(home, "pass", sni="a.example", now=NOW, cost=LIGHT)


def test_keys_open_again(tmp_path):
    made = make(tmp_path)
    opened = load_keys(tmp_path, "pass")
    assert opened.node_id == made.node_id
    assert opened.receipt.address == made.receipt.address
    assert opened.service == made.service
    for name in ("identity.json", "receipt.json", "service.bin"):
        assert (tmp_path / "keys" / name).stat().st_mode & 0o077 == 0


def test_keys_are_never_overwritten(tmp_path):
    make(tmp_path)
    with pytest.raises(KeyExistsError):
        make(tmp_path)


def test_a_wrong_passphrase(tmp_path):
    make(tmp_path)
    with pytest.raises(WrongPassphraseError):
        load_keys(tmp_path, "other")


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_damaged_service_keys_are_said(tmp_path, damage):
    make(tmp_path)
    path = tmp_path / "keys" / "service.bin"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(NodeConfigError, match="cannot open"):
        load_keys(tmp_path, "pass")


def test_service_keys_of_another_node_do_not_open(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    stolen = (tmp_path / "a" / "keys" / "service.bin").read_bytes()
    (tmp_path / "b" / "keys" / "service.bin").write_bytes(stolen)
    with pytest.raises(NodeConfigError):
        load_keys(tmp_path / "b", "pass")


def test_every_save_uses_a_fresh_key(tmp_path):
    made = make(tmp_path)
    first = (tmp_path / "keys" / "service.bin").read_bytes()
    save_service(tmp_path, made)
    second = (tmp_path / "keys" / "service.bin").read_bytes()
    assert first[:32] != second[:32]
    assert load_keys(tmp_path, "pass").service == made.service


def test_nothing_rotates_before_its_time():
    keys = ServiceKeys.fresh("a.example", NOW, secrets.token_bytes)
    assert keys.rotated(NOW + DAY_S - 1, secrets.token_bytes) == keys


def test_daily_tickets_rotate_daily_and_are_honoured_a_day_longer():
    keys = ServiceKeys.fresh("a.example", NOW, secrets.token_bytes)
    second = keys.rotated(NOW + DAY_S, secrets.token_bytes)
    assert len(second.daily_tickets) == 2
    assert second.daily_tickets[1] == keys.daily_tickets[0]
    assert second.ticket_publics()[0].key_id == second.daily_tickets[0].key_id
    assert set(second.server_keys().ticket_keys) >= {k.key_id for k in second.daily_tickets}
    third = second.rotated(NOW + 2 * DAY_S, secrets.token_bytes)
    assert keys.daily_tickets[0] not in third.daily_tickets


def test_link_keys_live_ninety_days_and_are_honoured_ninety_more():
    keys = ServiceKeys.fresh("a.example", NOW, secrets.token_bytes)
    later = keys.rotated(NOW + LINK_LIFE_S, secrets.token_bytes)
    assert len(later.links) == 2
    assert len(later.server_keys().link_keys) == 2
    gone = later.rotated(NOW + LINK_LIFE_S + LINK_GRACE_S, secrets.token_bytes)
    assert keys.links[0] not in gone.links


def test_the_online_key_is_renewed_in_time():
    keys = ServiceKeys.fresh("a.example", NOW, secrets.token_bytes)
    due = NOW + ONLINE_LIFE_S - ONLINE_RENEW_S
    assert keys.rotated(due - 1, secrets.token_bytes).online_seed == keys.online_seed
    renewed = keys.rotated(due, secrets.token_bytes)
    assert renewed.online_seed != keys.online_seed
    assert renewed.online_until == due + ONLINE_LIFE_S


def test_the_seed_line_carries_the_long_ticket(tmp_path):
    made = make(tmp_path)
    address = made.service.seed_address(made.identity.public, "127.11.0.1", 4430, "a.example")
    assert HtxAddress.parse(address.format()) == address
    assert address.ticket_id == made.service.long_tickets[0].key_id


def test_secrets_do_not_show(tmp_path):
    made = make(tmp_path)
    shown = repr(made) + repr(made.service)
    for secret in (made.identity_seed, made.service.links[0].secret, made.service.online_seed):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
