"""Chrome templates."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        lambda data: data["http2"].update(window_update=float("inf")),
    ],
)
def test_malformed_templates_are_refused(change):
    data = raw()
    change(data)
    with pytest.raises(TemplateError):
        ChromeTemplate.decode(json.dumps(data).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(["tls", "http2", "headers", "name"]), JSON)
def test_never_crashes_on_odd_parts(part, value):
    try:
        ChromeTemplate.decode(json.dumps(raw() | {part: value}).encode())
    except TemplateError:
        return


@pytest.mark.parametrize(
    "data", [b"[" * 60_000, b"", b"[]", b"{}", b"\xff", b" " * (MAX_TEMPLATE_BYTES + 1)]
)
def test_what_is_no_template_is_refused(data):
    with pytest.raises(TemplateError):
        ChromeTemplate.decode(data)
