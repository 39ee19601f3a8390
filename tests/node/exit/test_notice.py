import asyncio
import base64
import hashlib
import re
from contextlib import suppress
from html.parser import HTMLParser

import pytest

from node.exit import notice_server as module
from node.exit.notice import CSP, NO_CONTACT, NO_OPERATOR, Notice
from node.exit.notice_server import NoticeServer, Visit, serve_notice
from node.exit.policy import ExitPolicy
from node.htx.site import SiteRequest

NASTY = "<script>alert(1)</script> \"'&$x ${style}"


def notice(operator="Ann of Example", contact="abuse@example.org", policy="reduced"):
    return Notice(operator, contact, ExitPolicy.parse(policy))


class Seen(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def test_the_page_says_who_how_and_what():
    html = notice(policy="reject 192.0.2.0/24:*, web").html()
    text = Seen(html).text
    for words in (
        "Ann of Example",
        "abuse@example.org",
        "no logs",
        "refuses: no connection from it reaches you",
        "ports 80,443, with exceptions by address",
        "reject 192.0.2.0/24:*\naccept *:web",
        "Addresses of private networks are always refused",
    ):
        assert words in text
    assert "$" not in html


def test_what_is_not_configured_is_said():
    text = Seen(notice("", "", "none").html()).text
    assert NO_OPERATOR in text
    assert NO_CONTACT in text
    assert "In short: nothing" in text


def test_every_value_is_escaped():
    seen = Seen(notice(NASTY, NASTY).html())
    assert "script" not in seen.tags
    assert seen.text.count(NASTY) == 2


def test_no_scripts_and_nothing_from_elsewhere():
    html = notice().html()
    seen = Seen(html)
    assert not {"script", "img", "link", "iframe", "form", "object"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name == "style"]
    assert not [name for name, _ in seen.attributes if name in {"src", "href"}]
    assert "http://" not in html
    assert "https://" not in html


def test_the_style_is_the_one_that_the_policy_of_the_page_allows():
    html = notice().html()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CSP
    assert CSP.startswith("default-src 'none'")
    assert "unsafe" not in CSP
    assert CSP in [value for _, value in Seen(html).attributes]


def test_the_site_serves_it_with_strict_headers():
    response = notice().site().respond(SiteRequest("GET", "/"), 0)
    headers = dict(response.headers)
    assert response.status == 200
    assert response.body == notice().html().encode()
    assert headers["content-security-policy"] == f"{CSP}; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert notice().site().respond(SiteRequest("GET", "/other"), 0).status == 404


async def fetch(port, request=b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_page_is_served_over_plain_http():
    site = notice().site()
    async with serve_notice("127.0.0.1:0", site) as port:
        answer = await fetch(port)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"content-security-policy: default-src 'none'" in answer
        assert answer.endswith(notice().html().encode())
        assert (await fetch(port, b"\x00\xff\r\n\r\n")).startswith(b"HTTP/1.1 400")
    with pytest.raises(OSError, match="Connect call failed"):
        await fetch(port)


async def test_nothing_is_served_where_nothing_is_configured():
    async with serve_notice("", notice().site()) as port:
        assert port == 0


async def test_who_says_nothing_is_dropped_in_time(monkeypatch):
    monkeypatch.setattr(module, "VISIT_S", 0.1)
    async with serve_notice("127.0.0.1:0", notice().site()) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HT")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


class Transport:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


async def test_the_longest_visit_makes_room_for_a_newcomer(monkeypatch):
    monkeypatch.setattr(module, "MAX_VISITORS", 2)
    server = NoticeServer(notice().site())
    transports = [Transport() for _ in range(3)]
    for transport in transports:
        Visit(server).connection_made(transport)
    assert [transport.aborted for transport in transports] == [True, False, False]
    assert (len(server.visits), server.dropped) == (2, 1)
    server.close()
    assert not server.visits
