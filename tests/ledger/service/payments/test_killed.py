"""kill -9 while a purchase is served: never two answers for one place, never an answer lost."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qnet.crypto.scalars import encode_scalar
from qnet.messages.voucher import Purchase
from tests.ledger.service.payments.desk_child import STEPS
from tests.ledger.service.payments.issuing import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[4]


def serve(world: World, folder: Path, made: Purchase, step: str) -> tuple[int, str]:
    """Have a process serve a purchase; its exit code (negative for a signal) and what it says."""
    network, keys = world.chain.network, folder / "keys.json"
    shares = [each.share(1) for each in world.dealt.secrets[0]]
    keys.write_text(
        json.dumps(
            {
                "public": world.dealt.keys[0].encode().hex(),
                "shares": [encode_scalar(share).hex() for share in shares],
            }
        )
    )
    words = (
        f"sqlite+aiosqlite:///{folder / 'killed.db'}",
        network.url,
        str(network.manifest),
        network.member_signers[0].secret.hex(),
        str(keys),
        str(world.now),
        made.encode().hex(),
        step,
    )
    child = [sys.executable, "-m", "tests.ledger.service.payments.desk_child", *words]
    done = subprocess.run(
        child, cwd=ROOT, check=False, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("step", range(2 * len(STEPS)))
async def test_kill_9_at_any_step_serves_one_of_two_rivals(world: World, tmp_path: Path, step: int):
    owner = await world.open_channel(2)
    first = world.purchase(owner, world.want(6), nonce=1)
    rival = world.purchase(owner, world.want(6), nonce=1)
    assert serve(world, tmp_path, first, str(step)) == (-signal.SIGKILL, "")
    said = {
        name: serve(world, tmp_path, made, "none") for name, made in (("r", rival), ("f", first))
    }
    answers = [words for _, words in said.values() if not words.startswith("refused")]
    assert len(answers) == 1
    # what was stored before the kill stands; what was not has left nothing behind
    assert ("f" if step == 2 * len(STEPS) - 1 else "r") == next(
        name for name, (_, words) in said.items() if words == answers[0]
    )
    again = first if step == 2 * len(STEPS) - 1 else rival
    assert serve(world, tmp_path, again, "none") == (0, answers[0])
