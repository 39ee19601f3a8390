"""Loading a decoy site."""

import pytest

from node.errors import NodeConfigError
from node.htx.site import SiteRequest
from node.io import decoy
from node.io.decoy import load_site


def get(site, path):
    return site.respond(SiteRequest("GET", path), 0.0)


def test_the_default_site():
    assert b"Field notes" in get(load_site(None), "/").body


def test_a_folder(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").write_bytes(b"\x00")
    (tmp_path / "link.html").symlink_to("/etc/passwd")
    site = load_site(tmp_path)
    assert get(site, "/").body == b"hello"
    assert dict(get(site, "/").headers)["content-type"] == "text/html"
    assert dict(get(site, "/sub/a.bin").headers)["content-type"] == "application/octet-stream"
    assert get(site, "/link.html").status == 404


def test_limits(tmp_path, monkeypatch):
    with pytest.raises(NodeConfigError, match="index"):
        load_site(tmp_path)
    (tmp_path / "index.html").write_text("hello")
    monkeypatch.setattr(decoy, "MAX_FILE_BYTES", 4)
    with pytest.raises(NodeConfigError, match="large"):
        load_site(tmp_path)
