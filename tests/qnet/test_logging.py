import json

import structlog
from hypothesis import given
from hypothesis import strategies as st

from qnet import logging


def test_addresses_keys_and_destinations_never_reach_a_log(tmp_path):
    path = tmp_path / "logs" / "node.log"
    stream = logging.setup(file=path)
    assert stream is not None
    log = structlog.get_logger()
    log.info(
        "link opened to 203.0.113.9",
        peer_address="203.0.113.9:443",
        host="example.org",
        passphrase="hunter2",
        node="ab" * 32,
        raw=b"\x01\x02\x03\x04\x05\x06",
        v6="2001:db8::1",
        count=3,
    )
    log.debug("not at this level")
    stream.close()
    structlog.reset_defaults()
    line = path.read_text()
    for secret in ("203.0.113.9", "example.org", "hunter2", "ab" * 20, "2001:db8::1"):
        assert secret not in line
    event = json.loads(line)
    assert event["count"] == 3
    assert event["level"] == "info"
    assert path.stat().st_mode & 0o777 == 0o600


@given(st.ip_addresses(v=4), st.text(alphabet="abc :,", max_size=10))
def test_scrubbing_finds_every_ipv4_address(address, around):
    assert str(address) not in logging.scrub_text(f"{around} {address} {around}")
