"""The descriptors a node keeps for others."""

from dataclasses import replace

from node.directory.cache import DirectoryCache, DirectoryService
from node.directory.descriptors import DescriptorCache
from node.directory.exchange import DirRequest, Download, Kind, Piece, Status
from qnet import cbor
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.succession import decode_changes
from tests.qnet.messages.test_succession import CHAIN_OF
from tests.support.signed_network import PARAMETERS, PERIOD, NodeKeys, make_network

NET = make_network()
FIRST = [node.descriptor() for node in NET.nodes]


def filled(**options: int) -> DescriptorCache:
    cache = DescriptorCache(**options)
    for signed in FIRST:
        cache.store(signed, NET.consensus)
    return cache


def test_the_newest_of_each_listed_node_is_kept() -> None:
    cache = filled()
    newer = NET.nodes[0].descriptor(published=PERIOD - 5)
    assert not cache.store(FIRST[0], NET.consensus)
    assert cache.store(newer, NET.consensus)
    assert cache.by_index([1, 2, 99]) == [newer.encode(), FIRST[1].encode()]
    assert cache.by_digest(FIRST[0].digest) is None
    assert cache.by_digest(newer.digest) == newer.encode()
    assert cache.size_bytes == sum(len(signed.encode()) for signed in (newer, *FIRST[1:]))


def test_strangers_and_impostors_are_not_kept() -> None:
    cache = DescriptorCache()
    stranger = NodeKeys.make(77, NET.nodes[0].role).descriptor()
    impostor = NodeKeys.make(1, NET.nodes[0].role).descriptor()
    assert not cache.store(stranger, NET.consensus)
    assert not cache.store(impostor, NET.consensus)
    assert len(cache) == 0


def test_what_is_not_listed_any_more_is_forgotten() -> None:
    cache = filled()
    fewer = replace(NET.consensus, nodes=NET.consensus.nodes[:3])
    cache.keep_listed(fewer)
    assert len(cache) == 3
    assert cache.by_digest(FIRST[5].digest) is None
    assert cache.size_bytes == sum(len(signed.encode()) for signed in FIRST[:3])


def test_size_is_bounded() -> None:
    cache = filled(max_bytes=3_000)
    assert 0 < len(cache) < len(FIRST)
    assert cache.size_bytes <= 3_000


def ask(cache: DirectoryCache, request: DirRequest) -> tuple[Status, bytes]:
    service = DirectoryService(cache, PARAMETERS, bytes)
    download, answer = Download(request), b""
    for encoded in service.respond(request, source="link", now=0.0):
        piece = Piece.decode(encoded)
        if piece.status not in {Status.RAW, Status.ZSTD, Status.DIFF}:
            return piece.status, b""
        answer = download.receive(piece) or answer
    return Status.RAW, answer


def test_descriptors_are_served_by_index_by_digest_and_as_own() -> None:
    cache = DirectoryCache()
    own = DirRequest(1, Kind.DESCRIPTOR)
    assert ask(cache, own) == (Status.NOT_FOUND, b"")
    cache.descriptors.own = FIRST[0].encode()
    assert ask(cache, own) == (Status.RAW, FIRST[0].encode())
    for signed in FIRST:
        cache.descriptors.store(signed, NET.consensus)
    digest = DirRequest(1, Kind.DESCRIPTOR, hash=FIRST[3].digest)
    assert ask(cache, digest) == (Status.RAW, FIRST[3].encode())
    _, several = ask(cache, DirRequest(1, Kind.DESCRIPTORS, indexes=(2, 5, 99)))
    items = cbor.loads(several, max_bytes=1 << 20)
    assert isinstance(items, list)
    assert [SignedDescriptor.decode(item) for item in items] == [FIRST[1], FIRST[4]]
    nobody = DirRequest(1, Kind.DESCRIPTORS, indexes=(98, 99))
    assert ask(cache, nobody) == (Status.NOT_FOUND, b"")


def test_committee_changes_are_served_from_where_the_asker_stands() -> None:
    cache = DirectoryCache()
    assert ask(cache, DirRequest(1, Kind.COMMITTEE))[0] is Status.NOT_NEWER
    cache.changes = tuple(CHAIN_OF)
    for known, place in ((0, 0), (100, 1), (250, 2)):
        _, answer = ask(cache, DirRequest(1, Kind.COMMITTEE, valid_after=known))
        assert decode_changes(answer) == tuple(CHAIN_OF[place:])
    assert ask(cache, DirRequest(1, Kind.COMMITTEE, valid_after=300))[0] is Status.NOT_NEWER
