"""Databases to run the storage tests on: SQLite, and PostgreSQL where it is installed."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger.storage.database import open_database

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """QNET_TEST_POSTGRES, or a server of our own, run by the user postgres if we are root."""
    if "QNET_TEST_POSTGRES" in os.environ:
        yield os.environ["QNET_TEST_POSTGRES"].replace("postgresql://", "postgresql+asyncpg://")
        return
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed")
    prefix: list[str] = []
    folder = tmp_path_factory.mktemp("postgres")
    if os.getuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
        # pytest's own folders are closed to other users
        folder = Path(f"/tmp/qnet-postgres-{os.getpid()}")
        folder.mkdir(mode=0o700)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        prefix = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    control = str(POSTGRES[-1])
    data, port = str(folder / "data"), _free_port()

    def run(*words: str) -> None:
        subprocess.run([*prefix, control, *words], check=True, cwd="/", stdout=subprocess.DEVNULL)

    run("initdb", "-D", data, "-o", "-A trust -U qnet -E UTF8 --no-sync")
    options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
    run("start", "-D", data, "-w", "-l", str(folder / "log"), "-o", options)
    try:
        yield f"postgresql+asyncpg://qnet@127.0.0.1:{port}/postgres"
    finally:
        run("stop", "-D", data, "-m", "immediate", "-w")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def empty_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A database without tables."""
    engine = create_async_engine(database_url)
    if engine.dialect.name == "postgresql":
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(empty_engine: AsyncEngine, database_url: str) -> AsyncIterator[AsyncEngine]:
    """A migrated database."""
    await empty_engine.dispose()
    async with open_database(database_url) as opened:
        yield opened
