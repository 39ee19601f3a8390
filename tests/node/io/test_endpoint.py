"""Links over real sockets on loopback."""

import secrets

from node.htx.events import CloseReason
from node.htx.record import CELL_BYTES, RecordType
from node.io.endpoint import dial
from tests.node.io.endpoint_rig import PARAMETERS, Recorder, address_of, start_server


async def test_cells_and_records_both_ways():
    server, keys, accepted = await start_server()
    dialled = Recorder()
    link = await dial(
        address_of(keys, server.port), identity=None, handler=dialled, parameters=PARAMETERS
    )
    up = [secrets.token_bytes(CELL_BYTES) for _ in range(300)]
    link.send_cells(up)
    link.send_record(RecordType.CREDIT, b"12345678")
    await accepted.until(lambda: accepted.records)
    assert accepted.cells == up
    assert accepted.records == [(RecordType.CREDIT, b"12345678")]
    accepted.links[0].send_cells(up[:5])
    await dialled.until(lambda: len(dialled.cells) == 5)
    link.close()
    await accepted.until(lambda: accepted.closed)
    assert accepted.closed == [CloseReason.DONE]
    await server.close()
