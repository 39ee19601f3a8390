"""The tables of docs/spec/htx.md against the code."""

import re
from pathlib import Path

from node.htx import handshake, http1, http2_server, link, record, ticket
from node.htx.events import CloseReason, Role
from node.htx.http2_client import BODY_NAME, COOKIE_NAME, QUERY_NAME, CarrierWeights
from node.htx.noise import QNET_SUITE
from qnet.crypto.kdf import Label
from qnet.parameters import NetworkParameters

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "htx.md").read_text()
ROWS = {
    cells[0]: cells[1]
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| ")
    )
}
CONSTANTS = {
    "TICKET_BYTES": ticket.TICKET_BYTES,
    "MIN_PAD_BYTES": ticket.MIN_PAD_BYTES,
    "MAX_PAD_BYTES": ticket.MAX_PAD_BYTES,
    "HOUR_S": ticket.HOUR_S,
    "SITE_IDLE_S": int(link.SITE_IDLE_S),
    "MAX_REQUESTS": http1.MAX_REQUESTS,
    "MAX_STREAMS": http2_server.MAX_STREAMS,
    "MAX_HEAD_BYTES": http1.MAX_HEAD_BYTES,
    "MAX_KEPT_BODY_BYTES": http2_server.MAX_KEPT_BODY_BYTES,
    "MAX_OPEN_HEAD_BYTES": http2_server.MAX_OPEN_HEAD_BYTES,
    "MIN_VERSION": handshake.MIN_VERSION,
    "MAX_VERSION": handshake.MAX_VERSION,
    "FEATURES": handshake.FEATURES,
    "AES_RECORDS": handshake.AES_RECORDS,
    "MAX_FRAME_BYTES": handshake.MAX_FRAME_BYTES,
    "MAX_PAD_BYTES (payload)": handshake.MAX_PAD_BYTES,
    "CELL_BYTES": record.CELL_BYTES,
    "CELLS_PER_RECORD": record.CELLS_PER_RECORD,
    "SMALL_BYTES": record.SMALL_BYTES,
    "UNIT_BYTES": record.UNIT_BYTES,
    "MAX_RECORD_BYTES": record.MAX_RECORD_BYTES,
}


def test_constants():
    assert {name: int(ROWS[name]) for name in CONSTANTS} == CONSTANTS
    assert http2_server.MAX_REQUESTS == http1.MAX_REQUESTS
    weights = CarrierWeights()
    row = ROWS["carrier weights cookie : query : body"]
    assert row == f"{weights.cookie} : {weights.query} : {weights.body}"


def test_record_types_roles_and_reasons():
    for item in (*record.RecordType, *Role):
        assert int(ROWS[item.name]) == item
    for reason in (CloseReason.DONE, CloseReason.SHUTDOWN, CloseReason.IDLE, CloseReason.RESOURCES):
        assert int(ROWS[reason.name]) == reason


def test_parameters():
    main = NetworkParameters.profile("main").to_map()
    named = [name for name in ROWS if name in main]
    assert len(named) == 9
    assert all(int(ROWS[name]) == main[name] for name in named)


def test_names_and_labels():
    for text in (COOKIE_NAME, QUERY_NAME, BODY_NAME, QNET_SUITE.name.decode()):
        assert f"`{text}`" in PAGE
    for label in Label:
        if label.name.startswith("HTX"):
            assert f'"{label.value}"' in PAGE


def test_requirement_numbers_are_unique_and_rising():
    numbers = [int(number) for number in re.findall(r"\*\*QN-HTX-(\d{3})\*\*", PAGE)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 50
