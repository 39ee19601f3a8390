"""What one member served reaches all, whoever is down or lies."""

from dataclasses import replace

import pytest

from ledger.domain.issuance_log import encode_request, name_of
from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError
from ledger.service.payments.exchange import FETCH_PATH, INVENTORY_PATH
from ledger.service.payments.pooling import BOGUS_MAX
from qnet import cbor
from qnet.crypto.bls import SignedPoint, holds
from qnet.crypto.points import G1
from tests.ledger.service.payments.issuing import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


async def combined(world: World, member: int, channel: bytes) -> list[list[bytes]]:
    body = await world.desk(member).purchases(channel, 0)
    found = cbor.loads(body, max_bytes=1 << 20)
    assert isinstance(found, list)
    return [signed for _, signed in found]


async def test_a_request_at_one_member_is_completed_by_all(world: World):
    owner = await world.open_channel(2)
    wanted = world.want(6, 6)
    await world.desk(0).buy(world.purchase(owner, wanted).encode())
    await world.pool()
    await world.pool()
    for member in range(4):
        (signed,) = await combined(world, member, owner.address)
        for each, signature in zip(wanted, signed, strict=True):
            assert each.point is not None
            pair = SignedPoint(each.point, G1.decode(signature))
            assert holds(world.dealt.keys[0].keys[6], pair)


async def test_one_member_down_changes_nothing(world: World):
    owner = await world.open_channel(1)
    for peers in world.peers.values():
        peers.down.add(3)
    await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())
    await world.pool((0, 1, 2))
    await world.pool((0, 1, 2))
    assert len((await combined(world, 0, owner.address))[0]) == 1
    for peers in world.peers.values():
        peers.down.clear()
    await world.pool((3,))
    assert len((await combined(world, 3, owner.address))[0]) == 1


async def test_a_member_that_signs_wrongly_is_found_out_and_ignored(world: World):
    owner = await world.open_channel(2)
    world.keys[1].lies = True
    await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())
    await world.pool()
    await world.pool()
    (signed,) = await combined(world, 0, owner.address)
    assert len(signed) == 1
    pooling = world.desk(0).pooling
    assert pooling._liars == {(0, 1)}
    async with world.desk(0).facts.member.work() as rows:
        (row,) = await rows.payments.of_epoch(0)
        assert await rows.payments.partials(row.name) == {}


async def test_vouchers_of_one_channel_come_in_order_whoever_has_which(world: World):
    """A member that missed the first voucher serves the second after it has pulled."""
    owner = await world.open_channel(3)
    first, second = world.purchase(owner, world.want(6)), world.purchase(owner, world.want(6))
    await world.ask(lambda office: office.buy(first.encode()), (0, 1))
    await world.ask(lambda office: office.buy(second.encode()), (0, 1))
    with pytest.raises(IssuingRefusedError, check=lambda error: error.why == Why.NONCE.value):
        await world.desk(2).buy(second.encode())
    await world.pool((2,))
    assert await world.desk(2).buy(second.encode())
    assert [len(signed) for signed in await combined(world, 2, owner.address)] == [1, 1]


async def test_requests_are_completed_until_the_shares_are_erased(world: World):
    owner = await world.open_channel(3)
    first = world.purchase(owner, world.want(6))
    second = world.purchase(owner, world.want(6))
    await world.desk(0).buy(first.encode())
    await world.desk(0).buy(second.encode())
    end = world.clock.bounds(0)[1]
    world.now = end + world.clock.terms.finish_s - 1
    with pytest.raises(IssuingRefusedError):
        await world.desk(1).buy(first.encode())
    await world.pool((1,))
    assert len(await world.desk(1).buy(first.encode())) == 48
    world.now = end + world.clock.terms.finish_s
    await world.keys[2].erase(0)
    await world.pool((2,))
    async with world.desk(2).facts.member.work() as rows:
        assert [row.own for row in await rows.payments.of_epoch(0)] == [None, None]
        assert await rows.payments.last_voucher(owner.address) == (2, 128 * world.unit_wei)
    with pytest.raises(IssuingRefusedError, check=lambda error: error.why == Why.EPOCH.value):
        await world.desk(2).buy(first.encode())


async def test_who_shows_invalid_requests_is_not_asked_for_ever(world: World):
    """A liar's requests cost a bounded number of examinations, and none of them is kept."""
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner, members=(0, 1, 2))
    names = {}
    for _ in range(BOGUS_MAX + 8):
        # the owner's signature is right, that of the committee is not: it costs a pairing
        forged = replace(credit, signature=world.want(6)[0].output().point)
        made = world.swap([forged], world.want(6))
        names[name_of(made, world.domain)] = encode_request(made)

    async def lie(_to: int, path: str, body: bytes) -> bytes:
        if path == INVENTORY_PATH:
            asked = cbor.loads(body, max_bytes=1 << 12)
            assert isinstance(asked, dict)
            listed = b"".join(names) if asked["after"] == 0 else b""
            return cbor.dumps({"last": 10_000, "names": listed})
        assert path == FETCH_PATH
        asked = cbor.loads(body, max_bytes=1 << 14)
        assert isinstance(asked, dict)
        joined = asked["names"]
        wanted = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        return cbor.dumps([[name, names[name], b""] for name in wanted if name in names])

    peers, honest = world.peers[3], world.peers[3].call
    checked = 0
    desk = world.desk(3).desk
    original = desk.serve

    async def serve(request, **options):
        nonlocal checked
        checked += 1
        return await original(request, **options)

    desk.serve = serve
    called = []

    async def call(to: int, path: str, body: bytes) -> bytes:
        called.append((to, path))
        return await (lie(to, path, body) if to == 0 else honest(to, path, body))

    peers.call = call  # type: ignore[method-assign]
    await world.pool((3,))
    async with world.desk(3).facts.member.work() as rows:
        kept = {row.name for row in await rows.payments.of_epoch(0)}
    assert not kept & names.keys()
    right = 2  # two members showed the purchase
    assert BOGUS_MAX < checked <= BOGUS_MAX + 1 + right
    called.clear()
    await world.pool((3,))
    assert 0 not in {to for to, _ in called}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff" * 64,
        cbor.dumps({"last": 0, "names": b"x" * 31}),
        cbor.dumps({"last": 0, "names": b"x" * 32}),
        cbor.dumps([[b"n" * 32, b"", b""]]),
        cbor.dumps([[1, 2, 3]]),
    ],
)
async def test_nonsense_of_a_peer_is_no_concern_of_the_others(world: World, answer: bytes):
    owner = await world.open_channel(1)
    await world.buy(owner)
    world.peers[0].spoil = lambda peer, right: answer if peer == 3 else right
    await world.pool((0,))
    assert len((await combined(world, 0, owner.address))[0]) == 1
