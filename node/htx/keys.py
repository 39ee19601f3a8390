"""Keys a node holds for its links."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from node.htx.events import NODE_ID_BYTES, Role
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError

TICKET_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """Who a dialling node is; a client has none.

    Attributes:
        role: the node's role.
        node_id: 32 bytes.
        link_key: the X25519 static key that its descriptor names.
    """

    role: Role
    node_id: bytes
    link_key: DhKey = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an identity that no responder would take."""
        if len(self.node_id) != NODE_ID_BYTES or self.role is Role.CLIENT:
            raise LocalProtocolError("a node's identity needs a role and a 32-byte node id")


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a node needs to accept links.

    Attributes:
        certificate_pem: certificate chain, leaf first.
        certificate_key_pem: private key of the leaf.
        spki_hash: BLAKE3 of the leaf's DER SubjectPublicKeyInfo, 32 bytes.
        link_keys: X25519 static keys, the current one first, then those still honoured.
        ticket_keys: ticket keys by their 8-byte id, all that are honoured now.
    """

    certificate_pem: bytes = field(repr=False)
    certificate_key_pem: bytes = field(repr=False)
    spki_hash: bytes
    link_keys: tuple[DhKey, ...] = field(repr=False)
    ticket_keys: Mapping[bytes, DhKey] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse keys with which nobody could be admitted."""
        if not self.link_keys or not self.ticket_keys:
            raise LocalProtocolError("a server needs a link key and a ticket key")
        if any(len(key_id) != TICKET_ID_BYTES for key_id in self.ticket_keys):
            raise LocalProtocolError("a ticket key id is 8 bytes")
