"""Programs over a running client: run, env, pac, connect, exits, new, check, speed."""

import asyncio
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from node.io.control import call
from tests.support.dns_server import dns_server
from tests.support.network import held
from tools.bench.network import local_network
from tools.bench.transfer import file_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

QNET = str(Path(sys.executable).with_name("qnet"))
SITE = {"site.test.": ("127.0.0.1",)}
SIZE = 300_000


class Client:
    """A running client and what it can reach."""

    def __init__(self, home, port):
        self.home = home
        self.port = port
        self.url = f"http://site.test:{port}/{SIZE}"

    async def qnet(self, *words, expect=0, given=b"", env=None):
        process = await asyncio.create_subprocess_exec(
            *(QNET, "client", *map(str, words)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "QNET_HOME": str(self.home), **(env or {})},
        )
        out, err = await process.communicate(given)
        assert process.returncode == expect, (out[-500:], err.decode())
        return out, err.decode()

    async def json(self, *words, expect=0):
        out, _ = await self.qnet(*words, "--json", expect=expect)
        answer = json.loads(out)
        assert answer["schema"] == f"qnet.client.{words[0]}/1"
        return answer["data"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("client")
    countries = home / "countries"
    countries.write_text("127.13.0.0/16 CH\n")
    async with (
        dns_server(SITE) as names,
        held(local_network(("entry", "relay", "exit"), dns=f"127.0.0.1:{names.port}")) as network,
    ):
        bundle = home / "network.json"
        bundle.write_text(json.dumps(network.bundle().to_json()))
        (home / "client.toml").write_text(
            f"[network]\nbundle = {json.dumps(str(bundle))}\n"
            f"[paths]\ncountry_table = {json.dumps(str(countries))}\n"
            '[[socks]]\nlisten = "127.0.0.1:0"\n'
            '[[socks]]\nlisten = "127.0.0.1:0"\nisolate = ["listener", "destination"]\n'
            '[http]\nlisten = "127.0.0.1:0"\n'
            '[dns]\nlisten = "127.0.0.1:0"\n'
        )
        with file_server() as server:
            made = Client(home, server.port)
            _, told = await made.qnet("up")
            assert "consensus  ok" in told
            assert "ports      ok" in told
            yield made
            await made.qnet("down")


async def git(*words):
    process = await asyncio.create_subprocess_exec(
        *("git", *map(str, words)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def ports(client):
    return await call(client.home / "control.sock", "doors")


@asynccontextmanager
async def web_folder(folder):
    application = web.Application()
    application.router.add_static("/", folder)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_run_sends_a_program_through_the_network(client):
    out, _ = await client.qnet("run", "--", "curl", "-sSf", "-v", client.url)
    assert len(out) == SIZE


async def test_run_returns_the_exit_code_and_hands_options_on(client):
    await client.qnet("run", "sh", "-c", "exit 9", expect=9)
    out, _ = await client.qnet("run", "--isolate", "my label", "sh", "-c", "echo $ALL_PROXY")
    assert b"socks5h://my%20label:qnet@127.0.0.1:" in out
    await client.qnet("run", "no-such-program-anywhere", expect=3)
    await client.qnet("run", expect=2)


async def test_every_run_has_circuits_of_its_own(client):
    before = await client.json("status")
    for _ in range(2):
        await client.qnet("run", "curl", "-sSf", "-o", "/dev/null", client.url)
    after = await client.json("status")
    assert after["circuits"]["built"] - before["circuits"]["built"] >= 2


async def test_run_strict_reaches_the_network_and_nothing_else(client):
    enter = "from node.client.command.enclosure import enter; enter(())"
    probe = await asyncio.create_subprocess_exec(sys.executable, "-c", enter)
    if await probe.wait():
        pytest.skip("this kernel allows no namespaces")
    out, _ = await client.qnet("run", "--strict", "--", "curl", "-sSf", client.url)
    assert len(out) == SIZE
    direct = f"http://127.0.0.1:{client.port}/1"
    words = ("curl", "-sSf", "--noproxy", "*", "--max-time", "3", direct)
    _, said = await client.qnet("run", "--strict", "--", *words, expect=7)
    assert "Failed to connect" in said


async def test_env_configures_a_shell(client):
    lines, _ = await client.qnet("env", "--isolate", "sh")
    shell = shutil.which("sh")
    script = lines.decode() + f"curl -sS {client.url}"
    process = await asyncio.create_subprocess_exec(
        shell, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert len(out) == SIZE
    fish, _ = await client.qnet("env", "--shell", "fish")
    assert fish.startswith(b"set -gx ALL_PROXY 'socks5h://127.0.0.1:")
    variables = await client.json("env")
    assert variables["no_proxy"] == ""


async def test_the_pac_file_is_where_it_says(client):
    told = await client.json("pac")
    url, _ = await client.qnet("pac", "--url")
    assert told["url"] == url.decode().strip()
    out, _ = await client.qnet("run", "sh", "-c", f"curl -sS --noproxy '*' {told['url']}")
    assert out.decode() == told["pac"]
    assert "DIRECT" not in told["pac"]


async def test_connect_joins_standard_streams_as_ssh_needs_it(client):
    out, _ = await client.qnet(
        "connect", "site.test", client.port, given=b"GET /1000 HTTP/1.0\r\n\r\n"
    )
    assert len(out.partition(b"\r\n\r\n")[2]) == 1000
    _, said = await client.qnet("connect", "none.test", 80, expect=8)
    assert "cannot resolve the name" in said


async def test_git_clones_by_the_socks_port(client, tmp_path):
    source, clone = tmp_path / "source.git", tmp_path / "clone"
    await git("init", "-q", "--bare", source)
    tree = (await git("-C", source, "hash-object", "-w", "-t", "tree", "/dev/null")).strip()
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    commit = (await git("-C", source, *who, "commit-tree", "-m", "first", tree)).strip()
    await git("-C", source, "update-ref", "refs/heads/main", commit)
    await git("-C", source, "symbolic-ref", "HEAD", "refs/heads/main")
    await git("-C", source, "update-server-info")
    async with web_folder(source) as port:
        proxy = ("-c", f"http.proxy=socks5h://{(await ports(client))['socks'][0]}")
        await git(*proxy, "clone", "-q", f"http://site.test:{port}/", clone)
    assert (await git("-C", clone, "rev-parse", "HEAD")).strip() == commit


async def test_ssh_connects_by_the_proxy_command(client):
    heard = asyncio.get_running_loop().create_future()

    async def talk(reader, writer):
        writer.write(b"SSH-2.0-test\r\n")
        heard.set_result(await reader.readline())
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-F", "none", "-o", "StrictHostKeyChecking=no"),
            *("-o", f"ProxyCommand={QNET} client connect %h %p"),
            *("-p", str(server.sockets[0].getsockname()[1]), "user@site.test"),
            env={**os.environ, "QNET_HOME": str(client.home)},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            assert (await heard).startswith(b"SSH-2.0-OpenSSH")
        await process.communicate()


async def test_exits_tell_country_share_and_what_they_admit(client):
    (row,) = (await client.json("exits"))["exits"]
    assert (row["country"], row["share_ppm"], row["admits_port"]) == ("CH", 1_000_000, True)
    table, warned = await client.qnet("exits", "--port", "80", "--country", "ch")
    assert b"100.00 %" in table
    assert "active users now" in warned
    assert (await client.json("exits", "--country", "NL", expect=1))["exits"] == []


async def test_new_takes_circuits_out_of_use(client):
    retired = (await client.json("new"))["retired"]
    assert retired >= 1
    await client.qnet("run", "--isolate", "after", "curl", "-sSf", "-o", "/dev/null", client.url)
    rows = await client.json("circuits")
    assert any(row["state"] == "in use" for row in rows)


async def test_check_shows_a_table_and_a_verdict(client):
    found = await client.json("check")
    assert found["verdict"] == "pass"
    verdicts = {row["name"]: row["verdict"] for row in found["rows"]}
    assert verdicts["names are resolved by the exit"] == "pass"
    assert verdicts["this machine's DNS is not used"] == "pass"
    table, _ = await client.qnet("check")
    assert b"SOCKS port answers" in table


async def test_speed_is_measured_at_the_exit_or_with_a_page(client):
    found = await client.json("speed", "--mib", "1")
    assert len(found["path"]) == len(found["round_trip_ms"]) == 3
    assert all(trip is not None and trip > 0 for trip in found["round_trip_ms"])
    assert found["build_ms"] > 0
    assert found["goodput_bytes_s"] > 0
    paged = await client.json("speed", "--url", client.url, "--mib", "64")
    assert (paged["bytes"], paged["http_status"]) == (SIZE, 200)
    table, _ = await client.qnet("speed", "--url", client.url)
    assert b"round trip to the exit" in table
    _, said = await client.qnet("speed", "--url", "gopher://x/", expect=2)
    assert "http: or https:" in said


async def test_status_shows_everything_at_a_glance(client):
    await client.qnet(
        "run", "--", "curl", "-sSf", "-o", "/dev/null", f"http://127.0.0.1:{client.port}/1"
    )
    text, warned = await client.qnet("status")
    shown = text.decode()
    for part in ("state      up", "stages", "guards", "circuits", "streams", "ports"):
        assert part in shown
    assert "keeps apart by destination, listener" in shown
    assert "resolves names itself; use socks5h" in warned
    facts = await client.json("status")
    kinds = [row["kind"] for row in facts["listeners"]]
    assert kinds == ["socks", "socks", "http", "dns"]
    assert all(row["dropped"] == 0 for row in facts["listeners"])
