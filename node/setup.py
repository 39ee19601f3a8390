"""Making the home of a new node: keys, `node.toml`, and what a registration needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.config import Endpoint, NodeConfig
from node.errors import NodeConfigError
from node.keys import NodeKeys, create_keys
from qnet.address import checksum_address
from qnet.config import load_toml
from qnet.files import write_atomic
from qnet.wallet import keystore
from qnet.wallet.passphrase import read_file

if TYPE_CHECKING:
    from qnet.chain.staking import NodeRegistry


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The answers `qnet node init` needs; the same names as its options."""

    role: str
    listen: str
    sni: str
    passphrase_file: Path
    advertise: str = ""
    family: str = ""
    rpc: str = ""
    deployment: Path | None = None
    bundle: Path | None = None
    index: int = 0
    owner: str = ""
    members: tuple[str, ...] = ()
    policy: str = ""
    dns: str = ""
    allow_private: bool = False
    outbound: tuple[str, ...] = ()
    operator: str = ""
    contact: str = ""
    metrics: str = ""
    mbps: int = 100
    rate_kbps: int = 0
    price: int = 0
    light_kdf: bool = False


def init_node(home: Path, plan: NodePlan, *, now: int) -> dict[str, Any]:
    """Make a node's home.

    Args:
        home: Its folder; made with mode 0700.
        plan: The answers.
        now: Unix seconds.

    Returns:
        What the operator registers: node id, identity and receipt addresses, seed line.

    Raises:
        NodeConfigError: The answers do not fit, or the home has a node already.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config_path = home / "node.toml"
    if config_path.exists():
        raise NodeConfigError(f"{home} holds a node already", try_=("choose another --home",))
    if (plan.rpc and plan.deployment) and plan.bundle:
        raise NodeConfigError("give --rpc with --deployment, or --bundle, not both")
    text = _toml(_sections(plan))
    write_atomic(config_path, text.encode())
    try:
        load_toml(config_path, NodeConfig)
        passphrase = read_file(plan.passphrase_file)
        cost = keystore.LIGHT if plan.light_kdf else keystore.STANDARD
        keys = create_keys(home, passphrase, sni=plan.sni, now=now, cost=cost)
    except Exception:
        config_path.unlink()
        raise
    return identity_facts(keys, plan)


def identity_facts(keys: NodeKeys, plan: NodePlan) -> dict[str, Any]:
    """What others need to know of a node's keys."""
    where = Endpoint.parse(plan.advertise or plan.listen)
    seed = ""
    if where.port:
        address = keys.service.seed_address(keys.identity.public, where.host, where.port, plan.sni)
        seed = address.format()
    return {
        "node_id": "0x" + keys.node_id.hex(),
        "identity_key": "0x" + keys.identity.public.hex(),
        "receipt_address": checksum_address(keys.receipt.address),
        "role": plan.role,
        "seed": seed,
    }


def registration_proof(
    keys: NodeKeys, registry: NodeRegistry, owner: bytes, deadline_s: int
) -> bytes:
    """The receipt key's consent to be registered by `owner`, 65 bytes.

    Args:
        keys: The node's keys.
        registry: The registry it goes to.
        owner: Operator's address, 20 bytes.
        deadline_s: Unix time until which it may be used.
    """
    digest = registry.key_proof_digest(owner, keys.node_id, keys.receipt.address, deadline_s)
    return keys.receipt.sign(digest)


def _sections(plan: NodePlan) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {
        "node": {
            "role": plan.role,
            "listen": plan.listen,
            "advertise": plan.advertise,
            "sni": plan.sni,
            "family": plan.family,
            "mbps": plan.mbps,
            "rate_kbps": plan.rate_kbps,
            "price": plan.price,
        },
        "keys": {"passphrase_file": str(plan.passphrase_file.absolute())},
        "ledger": {"members": list(plan.members)},
    }
    if plan.deployment is not None:
        sections["chain"] = {"rpc": plan.rpc, "deployment": str(plan.deployment.absolute())}
    if plan.bundle is not None:
        sections["network"] = {"bundle": str(plan.bundle.absolute())}
        sections["node"] |= {"index": plan.index, "owner": plan.owner}
    if plan.role == "exit":
        sections["exit"] = {
            "policy": plan.policy or "web",
            "dns": plan.dns,
            "allow_private": plan.allow_private,
            "outbound": list(plan.outbound),
            "operator": plan.operator,
            "contact": plan.contact,
        }
    if plan.metrics:
        sections["metrics"] = {"listen": plan.metrics}
    return sections


def _toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write sections of plain values; JSON's strings, numbers, lists and booleans are TOML's."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        for name, values in sections.items()
    )
