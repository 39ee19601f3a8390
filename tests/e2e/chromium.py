"""Headless Chromium, driven over its DevTools protocol."""

import asyncio
import base64
import itertools
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
START_S = 30


def find_browser():
    """Path of the browser, or None."""
    named = os.environ.get("QNET_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page of the browser."""

    def __init__(self, socket, session):
        self.events = []
        self._socket = socket
        self._session = session
        self._numbers = itertools.count(1)
        self._answers = {}

    async def call(self, method, **parameters):
        """One command; its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(
            message | ({"sessionId": self._session} if self._session else {})
        )
        return await answer

    async def listen(self):
        """Sort what the browser sends into answers and events, until it closes."""
        async for message in self._socket:
            data = json.loads(message.data)
            answer = self._answers.pop(data.get("id"), None)
            if answer is None:
                self.events.append(data)
            elif "error" in data:
                answer.set_exception(RuntimeError(data["error"]["message"]))
            else:
                answer.set_result(data["result"])

    async def attach(self):
        """Open a page and speak to it from now on."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            await self.call(f"{domain}.enable")

    async def open(self, url, width, height):
        """Go to a page; says why when it cannot be loaded."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        return (await self.call("Page.navigate", url=url)).get("errorText", "")

    async def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def screenshot(self):
        """The visible page as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    def of(self, method):
        """Parameters of all events of one kind so far."""
        return [event["params"] for event in self.events if event.get("method") == method]


@asynccontextmanager
async def chromium(folder: Path, *flags):
    """A running browser with one page; its network log is in `folder` afterwards."""
    process = await asyncio.create_subprocess_exec(
        find_browser(), *FLAGS, *flags,
        f"--user-data-dir={folder / 'profile'}", f"--log-net-log={net_log(folder)}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_S):
            address = await _devtools(process.stderr)
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(address, max_msg_size=2**26) as socket,
            asyncio.TaskGroup() as group,
        ):
            tab = Tab(socket, "")
            group.create_task(tab.listen())
            await tab.attach()
            yield tab
            tab._session = ""
            await tab.call("Browser.close")
        async with asyncio.timeout(START_S):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _devtools(lines):
    while line := (await lines.readline()).decode(errors="replace"):
        if line.startswith("DevTools listening on "):
            return line.removeprefix("DevTools listening on ").strip()
    raise RuntimeError("the browser ended before it listened")


def net_log(folder):
    return folder / "net-log.json"


def read_net_log(folder):
    """(name, parameters) of all events the browser's network stack logged."""
    text = net_log(folder).read_text()
    try:
        log = json.loads(text)
    except ValueError:  # a log that was cut ends in a comma
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    names = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    return [(names[event["type"]], event.get("params", {})) for event in log["events"]]
