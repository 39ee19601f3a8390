from types import SimpleNamespace

import pytest

from node.client.app import limit_paths, refuse_a_second
from node.config import PathsSection
from node.errors import NodeConfigError
from node.io.control import ControlServer
from qnet.errors import RejectedError


class Circuits:
    """Remembers what it was told."""

    def __init__(self):
        self.atlas = None
        self.wished = None

    def use_atlas(self, atlas):
        self.atlas = atlas

    def wish_countries(self, inside, outside):
        self.wished = (inside, outside)


def limited(**paths):
    session = SimpleNamespace(circuits=Circuits())
    limit_paths(session, PathsSection(**paths))
    return session.circuits


def test_tables_and_wishes_reach_the_circuits(tmp_path):
    countries = tmp_path / "countries"
    countries.write_text("192.0.2.0/24 CH\n")
    systems = tmp_path / "systems"
    systems.write_text("192.0.2.0/24 AS64500\n")
    found = limited(
        country_table=countries, as_table=systems, exit_countries={"CH"}, no_exit_countries={"XX"}
    )
    assert found.atlas.country_of("192.0.2.9") == "CH"
    assert found.atlas.asn_of("192.0.2.9") == 64500
    assert found.wished == ({"CH"}, {"XX"})


def test_without_tables_nothing_is_known():
    assert limited().atlas is None


@pytest.mark.parametrize("content", [None, "no table\n"])
def test_a_table_that_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path, content):
    path = tmp_path / "table"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NodeConfigError, match=r"table of \[paths\]"):
        limited(country_table=path)


async def test_one_client_runs_in_a_home(tmp_path):
    await refuse_a_second(tmp_path)

    async def doors(_arguments):
        return {}

    async with ControlServer({"doors": doors}).serve(tmp_path / "control.sock"):
        with pytest.raises(RejectedError, match="already"):
            await refuse_a_second(tmp_path)
    await refuse_a_second(tmp_path)
