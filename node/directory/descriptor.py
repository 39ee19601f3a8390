"""Building the node's own descriptor and knowing when it is due.

Source: docs/spec/directory.md, section Descriptor.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qnet.crypto.keys import SigningKey
from qnet.epochs import consensus_period, consensus_phases
from qnet.messages.descriptor import (
    PHASE_MODULUS,
    Descriptor,
    Role,
    SignedDescriptor,
    TicketKey,
    certify_online,
    decode_descriptor,
)
from qnet.parameters import NetworkParameters


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What does not change between two descriptors of a node.

    Args:
        chain_id: EVM chain id.
        registry: NodeRegistry contract, 20 bytes.
        owner: operator's address, 20 bytes.
        index: registry index.
        role: registered role.
        host: address others dial.
        port: TCP port.
        sni: server name for TLS.
        spki_hash: BLAKE3 of the certificate's DER SPKI, 32 bytes.
        link_key: X25519 public key, 32 bytes.
        receipt_address: signer of receipts, 20 bytes.
        family: operator family, or "".
        software: protocol version.
        policy: exit policy text, "" unless the node is an exit.
        ciphers: layer ciphers, ascending.
        bandwidth_kbps: rate offered.
        price: units that a MiB of premium traffic costs; 0 if it takes no payment.
    """

    chain_id: int
    registry: bytes
    owner: bytes
    index: int
    role: Role
    host: str
    port: int
    sni: str
    spki_hash: bytes
    link_key: bytes
    receipt_address: bytes
    family: str
    software: str
    policy: str
    ciphers: tuple[int, ...]
    bandwidth_kbps: int
    price: int = 0


@dataclass(frozen=True, slots=True)
class OnlineIdentity:
    """An online key and the certificate by which the identity key vouches for it.

    Args:
        identity: Ed25519 identity key (public), 32 bytes.
        online: the key that signs descriptors.
        until: unix time at which the certificate ends.
        signature: identity key over the certificate, 64 bytes.
    """

    identity: bytes
    online: SigningKey
    until: int
    signature: bytes

    @classmethod
    def certify(
        cls,
        identity: SigningKey,
        online: SigningKey,
        *,
        chain_id: int,
        registry: bytes,
        until: int,
    ) -> "OnlineIdentity":
        """Certify an online key; the identity key is not needed again until it ends."""
        signature = certify_online(
            identity, chain_id=chain_id, registry=registry, online=online.public, until=until
        )
        return cls(identity.public, online, until, signature)


def next_publication(now: float, parameters: NetworkParameters) -> tuple[int, int]:
    """Return (period, due): the next consensus and when its descriptor must have arrived.

    Once the lead before a period has begun, the period after it is returned.
    """
    interval = parameters.consensus_interval_s
    period = consensus_period(now, interval) + interval
    due = period - parameters.descriptor_lead_s
    if now >= due:
        period, due = period + interval, due + interval
    return period, due


def build_descriptor(
    profile: NodeProfile,
    identity: OnlineIdentity,
    *,
    tickets: Sequence[TicketKey],
    phase_key: Callable[[int], bytes],
    period: int,
    published: int,
    parameters: NetworkParameters,
    clients: int = 0,
) -> SignedDescriptor:
    """Build and sign the descriptor for one consensus.

    Args:
        profile: what stays the same.
        identity: certified online key.
        tickets: ticket keys, the daily one first.
        phase_key: public onion key of a key phase (32 bytes); generates it where needed.
        period: valid_after of the consensus it is for.
        published: unix time now.
        parameters: the network's parameters.
        clients: noisy number of client links, if the node is an entry.

    Raises:
        DecodeError: a field is out of its bounds, so nobody would accept the descriptor.
    """
    first, count = consensus_phases(period, parameters.consensus_interval_s, parameters.key_phase_s)
    descriptor = Descriptor(
        chain_id=profile.chain_id,
        registry=profile.registry,
        owner=profile.owner,
        index=profile.index,
        identity=identity.identity,
        online=identity.online.public,
        online_until=identity.until,
        online_signature=identity.signature,
        role=profile.role,
        host=profile.host,
        port=profile.port,
        sni=profile.sni,
        spki_hash=profile.spki_hash,
        link_key=profile.link_key,
        tickets=tuple(tickets),
        first_phase=first,
        phase_keys=tuple(phase_key((first + i) % PHASE_MODULUS) for i in range(count)),
        ciphers=profile.ciphers,
        receipt_address=profile.receipt_address,
        family=profile.family,
        software=profile.software,
        policy=profile.policy,
        published=published,
        bandwidth_kbps=profile.bandwidth_kbps,
        clients=clients,
        price=profile.price,
    )
    return decode_descriptor(descriptor.sign(identity.online).encode())
