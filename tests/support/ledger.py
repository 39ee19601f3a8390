"""Committee members as processes: their homes, and `qnet ledger run` on them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from qnet.crypto.keys import ReceiptKey
from qnet.wallet import keystore
from tests.support.anvil import Network

QNET = Path(sys.executable).with_name("qnet")
PASSPHRASE = "correct horse"


def save_key(path: Path, key: ReceiptKey) -> None:
    """Write a keystore that PASSPHRASE opens, in place of an older one."""
    encrypted = keystore.encrypt(
        key.secret,
        PASSPHRASE,
        kind=keystore.KeyKind.SECP256K1,
        random=os.urandom,
        cost=keystore.LIGHT,
    )
    keystore.save(path, encrypted, replace=path.exists())


def write_member(
    folder: Path, network: Network, index: int, ports: list[int], *, beacon: bool = False
) -> Path:
    """Write a member's home as the devnet does, with the beacon's seed if it is to start epochs."""
    (folder / "keys").mkdir(parents=True)
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "passphrase").chmod(0o600)
    save_key(folder / "keys" / "signer.json", network.member_signers[index])
    save_key(folder / "keys" / "owner.json", network.member_owners[index])
    peers = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    lines = [
        *("[member]", f"index = {index}", f'listen = "127.0.0.1:{ports[index]}"'),
        *(f"peers = [{peers}]", "[chain]"),
        *(f'rpc = "{network.url}"', f'deployment = "{network.manifest}"'),
    ]
    if beacon:
        # the last value of a hash chain is the seed of one that is a slot shorter
        (folder / "seed").write_text(network.beacon.value(network.beacon.length - 1).hex())
        lines += ["[beacon]", 'seed_file = "seed"']
    (folder / "ledger.toml").write_text("\n".join(lines) + "\n")
    return folder


class MemberProcess:
    """A `qnet ledger run` that has said READY.

    Args:
        home: of the member.
    """

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [str(QNET), "ledger", "run", "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("READY "), (line, self.process.communicate())
        self.ready = json.loads(line.removeprefix("READY "))

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode
