"""Chrome templates."""

import json

import pytest

from node.errors import TemplateError
from node.htx.template import MAX_TEMPLATE_BYTES, ChromeTemplate
from node.io.tls import default_template


def raw():
    from importlib import resources

    return json.loads(resources.files("node.htx").joinpath("templates/chrome.json").read_bytes())


def test_the_shipped_template():
    template = default_template()
    assert template.ja4 == "t13d1517h2_8daaf6152771_cb7bf5808d99"
    assert template.tls["alpn"] == ["h2", "http/1.1"]
    assert ("cookie", "{cookie}") in template.navigate


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(schema="qnet.template/2"),
        lambda data: data.pop("tls"),
        lambda data: data["tls"].update(trust_anchors="zz"),
        lambda data: data["http2"].update(settings=[1, 2]),
        lambda data: data["http2"].pop("priority"),
        lambda data: data["headers"].update(navigate=None),
    ],
)
def test_malformed_templates_are_refused(change):
    data = raw()
    change(data)
    with pytest.raises(TemplateError):
        ChromeTemplate.decode(json.dumps(data).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b" " * (MAX_TEMPLATE_BYTES + 1)])
def test_what_is_no_template_is_refused(data):
    with pytest.raises(TemplateError):
        ChromeTemplate.decode(data)
