"""A node's long-lived keys: identity, receipt key, and the service keys that rotate.

`keys/identity.json` and `keys/receipt.json` are JSON v3 keystores. `keys/service.bin` holds the
online key, link keys, ticket keys and the TLS certificate, sealed under a key derived from the
identity: a copy of that file alone opens nothing. Onion keys are never here: they live in memory.

Source: docs/spec/exits-and-clients.md; lives of keys as in docs/spec/htx.md.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from node.errors import NodeConfigError
from node.htx.address import HtxAddress
from node.htx.keys import ServerKeys
from node.io.tls import generate_certificate, load_certificate
from qnet import cbor
from qnet.crypto.aead import OpeningKey, SealingKey
from qnet.crypto.kdf import Label, derive_key, node_id_of
from qnet.crypto.keys import DhKey, ReceiptKey, SigningKey
from qnet.errors import CryptoError, DecodeError
from qnet.files import write_atomic
from qnet.messages.descriptor import TicketKey
from qnet.wallet import keystore
from qnet.wallet.keystore import KeyKind, ScryptCost

DAY_S: Final = 86_400
ONLINE_LIFE_S: Final = 30 * DAY_S
ONLINE_RENEW_S: Final = 7 * DAY_S
"""An online key is replaced this long before its certificate ends."""
LINK_LIFE_S: Final = 90 * DAY_S
LINK_GRACE_S: Final = 90 * DAY_S
DAILY_TICKET_LIFE_S: Final = DAY_S
DAILY_TICKET_GRACE_S: Final = DAY_S
MAX_SERVICE_BYTES: Final = 64 * 2**10

_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class AgedKey:
    """An X25519 secret with its age.

    Attributes:
        key_id: 8 bytes that name it (ticket keys).
        secret: 32 bytes.
        created: Unix seconds.
    """

    key_id: bytes
    secret: bytes = field(repr=False)
    created: int

    @classmethod
    def fresh(cls, now: int, random: Callable[[int], bytes]) -> Self:
        """A new key."""
        return cls(random(8), random(32), now)

    @property
    def key(self) -> DhKey:
        """The key itself."""
        return DhKey(self.secret)


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """Keys a running node uses and replaces by itself; newest first in every tuple.

    Attributes:
        online_seed: Ed25519 seed of the key that signs descriptors, 32 bytes.
        online_until: End of its certificate, unix seconds.
        links: X25519 static keys of links.
        daily_tickets: Ticket keys of descriptors.
        long_tickets: Ticket keys of seeds and bridge lines.
        certificate_pem: TLS certificate.
        certificate_key_pem: Its private key.
    """

    online_seed: bytes = field(repr=False)
    online_until: int
    links: tuple[AgedKey, ...]
    daily_tickets: tuple[AgedKey, ...]
    long_tickets: tuple[AgedKey, ...]
    certificate_pem: bytes = field(repr=False)
    certificate_key_pem: bytes = field(repr=False)

    @classmethod
    def fresh(cls, sni: str, now: int, random: Callable[[int], bytes]) -> Self:
        """Keys of a new node with a self-signed certificate for `sni`."""
        certificate = generate_certificate(sni, dt.datetime.fromtimestamp(now, dt.UTC))
        return cls(
            online_seed=random(32),
            online_until=now + ONLINE_LIFE_S,
            links=(AgedKey.fresh(now, random),),
            daily_tickets=(AgedKey.fresh(now, random),),
            long_tickets=(AgedKey.fresh(now, random),),
            certificate_pem=certificate.chain_pem,
            certificate_key_pem=certificate.key_pem,
        )

    def rotated(self, now: int, random: Callable[[int], bytes]) -> ServiceKeys:
        """The same keys with those replaced whose time has come; equal when none has."""
        kept = self
        if now >= self.online_until - ONLINE_RENEW_S:
            kept = replace(kept, online_seed=random(32), online_until=now + ONLINE_LIFE_S)
        return replace(
            kept,
            links=_rotated(kept.links, now, random, LINK_LIFE_S, LINK_GRACE_S),
            daily_tickets=_rotated(
                kept.daily_tickets, now, random, DAILY_TICKET_LIFE_S, DAILY_TICKET_GRACE_S
            ),
            long_tickets=_rotated(kept.long_tickets, now, random, LINK_LIFE_S, LINK_GRACE_S),
        )

    @property
    def online(self) -> SigningKey:
        """The key that signs descriptors."""
        return SigningKey(self.online_seed)

    @property
    def spki_hash(self) -> bytes:
        """BLAKE3 of the certificate's DER SubjectPublicKeyInfo, 32 bytes."""
        return load_certificate(self.certificate_pem, self.certificate_key_pem).spki_hash

    def server_keys(self) -> ServerKeys:
        """What the listener needs."""
        return ServerKeys(
            certificate_pem=self.certificate_pem,
            certificate_key_pem=self.certificate_key_pem,
            spki_hash=self.spki_hash,
            link_keys=tuple(aged.key for aged in self.links),
            ticket_keys={
                aged.key_id: aged.key for aged in (*self.daily_tickets, *self.long_tickets)
            },
        )

    def ticket_publics(self) -> tuple[TicketKey, ...]:
        """Ticket keys for the descriptor: the daily one, then the long one."""
        daily, long = self.daily_tickets[0], self.long_tickets[0]
        return (
            TicketKey(
                daily.key_id,
                daily.key.public,
                daily.created + DAILY_TICKET_LIFE_S + DAILY_TICKET_GRACE_S,
            ),
            TicketKey(long.key_id, long.key.public, long.created + LINK_LIFE_S + LINK_GRACE_S),
        )

    def seed_address(self, identity: bytes, host: str, port: int, sni: str) -> HtxAddress:
        """The address for `htx://` lines: made for the long-lived ticket key."""
        ticket = self.long_tickets[0]
        return HtxAddress(
            host=host,
            port=port,
            sni=sni,
            identity=identity,
            spki=self.spki_hash,
            link_key=self.links[0].key.public,
            ticket_key=ticket.key.public,
            ticket_id=ticket.key_id,
        )


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """Everything secret a node loads at start.

    Attributes:
        identity: Ed25519 identity.
        receipt: secp256k1 key that signs receipts.
        service: Keys that rotate.
    """

    identity: SigningKey
    receipt: ReceiptKey
    service: ServiceKeys
    identity_seed: bytes = field(repr=False)

    @property
    def node_id(self) -> bytes:
        """BLAKE3 of the identity, 32 bytes."""
        return node_id_of(self.identity.public)


def create_keys(
    home: Path, passphrase: str, *, sni: str, now: int, cost: ScryptCost = keystore.STANDARD
) -> NodeKeys:
    """Make the keys of a new node and write them.

    Raises:
        KeyExistsError: The home has keys already; they are never overwritten.
    """
    random = secrets.token_bytes
    seed, receipt = random(32), ReceiptKey.generate()
    for name, secret, kind in (
        ("identity", seed, KeyKind.ED25519),
        ("receipt", receipt.secret, KeyKind.SECP256K1),
    ):
        stored = keystore.encrypt(secret, passphrase, kind=kind, random=random, cost=cost)
        keystore.save(home / "keys" / f"{name}.json", stored)
    keys = NodeKeys(SigningKey(seed), receipt, ServiceKeys.fresh(sni, now, random), seed)
    save_service(home, keys)
    return keys


def load_keys(home: Path, passphrase: str) -> NodeKeys:
    """Open the keys of a node.

    Raises:
        NotFoundError: A key file is missing.
        WrongPassphraseError: The passphrase does not open it.
        NodeConfigError: The service keys are damaged.
    """
    seed = keystore.load(home / "keys" / "identity.json").decrypt(passphrase)
    receipt = keystore.load(home / "keys" / "receipt.json").decrypt(passphrase)
    path = home / "keys" / "service.bin"
    try:
        service = _decode_service(_unseal(path.read_bytes(), seed))
    except (OSError, CryptoError, DecodeError, KeyError, TypeError) as error:
        raise NodeConfigError(
            f"cannot open {path}",
            why="it is missing, damaged or of another node",
            try_=("restore it from its backup",),
        ) from error
    return NodeKeys(SigningKey(seed), ReceiptKey(receipt), service, seed)


def save_service(home: Path, keys: NodeKeys) -> None:
    """Write the service keys, never half."""
    salt = secrets.token_bytes(_SALT_BYTES)
    key = derive_key(Label.NODE_KEYS, keys.identity_seed + salt)
    sealed = SealingKey(key).seal(_encode_service(keys.service))
    write_atomic(home / "keys" / "service.bin", salt + sealed)


def _rotated(
    keys: tuple[AgedKey, ...], now: int, random: Callable[[int], bytes], life_s: int, grace_s: int
) -> tuple[AgedKey, ...]:
    kept = tuple(key for key in keys if now < key.created + life_s + grace_s)
    if kept and now < kept[0].created + life_s:
        return kept
    return (AgedKey.fresh(now, random), *kept)


def _unseal(data: bytes, seed: bytes) -> bytes:
    if not _SALT_BYTES < len(data) <= MAX_SERVICE_BYTES:
        raise DecodeError("service keys have a wrong size")
    key = derive_key(Label.NODE_KEYS, seed + data[:_SALT_BYTES])
    return OpeningKey(key).open(data[_SALT_BYTES:])


def _encode_service(service: ServiceKeys) -> bytes:
    return cbor.dumps(
        {
            "v": 1,
            "online": service.online_seed,
            "online_until": service.online_until,
            "links": _encode_aged(service.links),
            "daily": _encode_aged(service.daily_tickets),
            "long": _encode_aged(service.long_tickets),
            "certificate": service.certificate_pem,
            "certificate_key": service.certificate_key_pem,
        }
    )


def _encode_aged(keys: tuple[AgedKey, ...]) -> list[object]:
    return [[key.key_id, key.secret, key.created] for key in keys]


def _decode_service(data: bytes) -> ServiceKeys:
    value: Any = cbor.loads(data, max_bytes=MAX_SERVICE_BYTES)
    if not isinstance(value, dict) or value.get("v") != 1:
        raise DecodeError("service keys of another version")
    return ServiceKeys(
        online_seed=value["online"],
        online_until=value["online_until"],
        links=_decode_aged(value["links"]),
        daily_tickets=_decode_aged(value["daily"]),
        long_tickets=_decode_aged(value["long"]),
        certificate_pem=value["certificate"],
        certificate_key_pem=value["certificate_key"],
    )


def _decode_aged(value: Any) -> tuple[AgedKey, ...]:
    return tuple(AgedKey(key_id, secret, created) for key_id, secret, created in value)
