"""The static site behind the decoy."""

import pytest

from node.htx.site import Page, SiteRequest, StaticSite, default_site

NOW = 1_800_000_000.0
PAGES = {"/index.html": Page("text/html", b"hi", '"1"'), "/a/index.html": Page("t/a", b"a", "")}
SITE = StaticSite(PAGES)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/", 200, b"hi"),
        ("GET", "/?v=1", 200, b"hi"),
        ("GET", "/index.html", 200, b"hi"),
        ("GET", "/%69ndex.html", 200, b"hi"),
        ("GET", "/a/", 200, b"a"),
        ("HEAD", "/", 200, b""),
        ("GET", "/a", 404, None),
        ("GET", "/../etc/passwd", 404, None),
        ("GET", "*", 404, None),
        ("POST", "/", 405, None),
        ("BREW", "/", 405, None),
    ],
)
def test_answers(method, path, status, body):
    response = SITE.respond(SiteRequest(method, path), NOW)
    assert response.status == status
    assert body is None or response.body == body
    headers = dict(response.headers)
    assert headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert headers["server"] == "nginx"
    if method != "HEAD":
        assert headers["content-length"] == str(len(response.body))


def test_default_site_has_what_its_page_names():
    site = default_site()
    for path in ("/", "/style.css", "/robots.txt"):
        assert site.respond(SiteRequest("GET", path), NOW).status == 200
