"""The folders of the network's programs: their configuration files, written once."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from node.manifests import Bundle
from node.payments.user.derivation import SEED_BYTES, Seed
from node.payments.user.seed_file import payments_folder, save_seed
from node.payments.user.wallet_file import create_file
from qnet.chain.contracts import Contracts
from qnet.files import write_atomic
from qnet.wallet.keystore import LIGHT
from tools.devnet.config import DevnetConfig
from tools.devnet.network import Network
from tools.devnet.state import MemberRecord
from tools.devnet.topology import MemberPlan, Role

AUDIT_FILE = "audit.token"
TOKEN_BYTES = 32


def toml(sections: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Write sections of texts, numbers, truths and lists of texts as TOML.

    JSON's forms of these are TOML's too.
    """
    lines: list[str] = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines).encode()


def _value(value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else value
    return json.dumps(plain, ensure_ascii=False)


def chain_section(config: DevnetConfig) -> dict[str, Any]:
    """Where the contracts are."""
    return {"rpc": config.rpc, "deployment": config.deployment}


def write_member(network: Network, member: MemberPlan) -> Path:
    """Write a committee member's home: `ledger.toml` and the token it shares with its auditor."""
    config = network.config
    home = config.home / member.name
    home.mkdir(mode=0o700)
    accounts = {account.name: account.keystore for account in network.state.accounts}
    sections: dict[str, dict[str, Any]] = {
        "member": {
            "index": member.index,
            "listen": member.url.removeprefix("http://"),
            "peers": member_urls(network),
        },
        "chain": chain_section(config),
        "beacon": {"seed_file": config.beacon_seed},
        "keys": {
            "signer": accounts[member.signer],
            "owner": accounts[member.owner],
            "passphrase_file": config.passphrase_file,
        },
        "audit": {"token_file": home / AUDIT_FILE},
    }
    write_atomic(home / "ledger.toml", toml(sections))
    write_atomic(home / AUDIT_FILE, secrets.token_hex(TOKEN_BYTES).encode() + b"\n")
    return home


def member_urls(network: Network) -> list[str]:
    """HTTP addresses of all members, in member order."""
    return [member.url for member in network.topology.members]


async def write_bundle(network: Network, contracts: Contracts, seeds: Sequence[str]) -> Path:
    """Write `network.json`: all a client must know to trust the network."""
    members = await contracts.committee.members()
    bundle = Bundle(
        chain_id=contracts.client.chain_id,
        committee=contracts.committee.address,
        oracle=contracts.oracle.address,
        registry=contracts.registry.address,
        signers=tuple(member.signer for member in members),
        quorum=await contracts.committee.quorum(),
        seeds=tuple(seeds),
        profile="devnet",
        genesis_s=contracts.deployment.genesis_s,
        made_at=int(time.time()),
    )
    path = network.config.network
    write_atomic(path, json.dumps(bundle.to_json(), indent=1).encode() + b"\n", mode=0o644)
    return path


def write_client(network: Network) -> Path:
    """Write the client's home; it carries messages if there are mixes."""
    config = network.config
    home = config.client_home
    home.mkdir(mode=0o700)
    sections: dict[str, dict[str, Any]] = {
        "network": {"bundle": config.network},
        "socks": {"listen": f"127.0.0.1:{config.socks_port}"},
        "http": {"listen": f"127.0.0.1:{config.http_port}"},
        "dns": {"listen": f"127.0.0.1:{config.names_port}"},
        "chain": {"rpc": config.rpc},
        "payments": {
            "members": member_urls(network),
            "deployment": config.deployment,
            "passphrase_file": config.passphrase_file,
        },
    }
    if network.topology.count(Role.MIX):
        sections["mix"] = {"messages": True}
    write_atomic(home / "client.toml", toml(sections))
    _make_wallet(payments_folder(home), network.passphrase)
    return home


def _make_wallet(folder: Path, passphrase: str) -> None:
    """Make an empty premium wallet, as `qnet pay init` does."""
    folder.mkdir(mode=0o700)
    secret = secrets.token_bytes(SEED_BYTES)
    save_seed(folder, secret, passphrase, random=secrets.token_bytes, cost=LIGHT)
    create_file(folder, Seed(secret).channel.address)


def write_hosts(network: Network) -> Path:
    """Write the names of the nodes for the name server."""
    path = network.config.home / "hosts.json"
    hosts = {node.sni: node.host for node in network.topology.nodes}
    write_atomic(path, json.dumps(hosts, indent=1).encode() + b"\n")
    return path


def write_site(network: Network) -> Path:
    """Write the page that `web.devnet` shows."""
    folder = network.config.site
    folder.mkdir()
    page = "<!doctype html><title>web.devnet</title><p>You came here over three hops.\n"
    write_atomic(folder / "index.html", page.encode(), mode=0o644)
    return folder


def write_auditor(member: MemberRecord) -> Path:
    """Make the empty home of a member's prober."""
    home = Path(member.auditor_home)
    home.mkdir(mode=0o700)
    return home
