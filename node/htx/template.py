"""Chrome templates: what the outside of a link looks like, as data.

The file names the TLS hello (in the terms of `utls`), its JA4, the HTTP/2 opening and the headers
of an ordinary navigation and form submission.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final, Self

from node.errors import TemplateError

SCHEMA: Final = "qnet.template/1"
MAX_TEMPLATE_BYTES: Final = 65_536
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChromeTemplate:
    """One browser version.

    Attributes:
        name: short name.
        browser: for people.
        source: where the values come from.
        ja4: JA4 of the hello; what goes over the wire must have it.
        tls: keyword arguments of a `utls` fingerprint; `trust_anchors` as bytes.
        settings: HTTP/2 SETTINGS in order.
        window_update: increment of the connection window sent first.
        pseudo_order: order of the pseudo-headers.
        priority: exclusive, parent stream and weight of the first request.
        navigate: headers of a GET; `{cookie}` stands for the cookies.
        submit: headers of a form's POST; `{authority}` and `{length}` are filled in.
    """

    name: str
    browser: str
    source: str
    ja4: str
    tls: dict[str, Any] = field(hash=False)
    settings: tuple[tuple[int, int], ...]
    window_update: int
    pseudo_order: tuple[str, ...]
    priority: tuple[bool, int, int]
    navigate: Headers
    submit: Headers

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a template file.

        Raises:
            TemplateError: not a template, or of another schema version.
        """
        if len(data) > MAX_TEMPLATE_BYTES:
            raise TemplateError("the template is too long")
        try:
            raw = json.loads(data)
            if raw["schema"] != SCHEMA:
                raise TemplateError(f"unknown template schema {raw['schema']!r}")
            tls = dict(raw["tls"])
            tls["trust_anchors"] = bytes.fromhex(tls["trust_anchors"])
            http2, headers = raw["http2"], raw["headers"]
            priority = http2["priority"]
            return cls(
                name=str(raw["name"]),
                browser=str(raw["browser"]),
                source=str(raw["source"]),
                ja4=str(raw["ja4"]),
                tls=tls,
                settings=tuple((int(key), int(value)) for key, value in http2["settings"]),
                window_update=int(http2["window_update"]),
                pseudo_order=tuple(map(str, http2["pseudo_order"])),
                priority=(
                    bool(priority["exclusive"]),
                    int(priority["depends_on"]),
                    int(priority["weight"]),
                ),
                navigate=_headers(headers["navigate"]),
                submit=_headers(headers["submit"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise TemplateError("the template is malformed", why=str(error)) from error


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((str(name), str(value)) for name, value in pairs)
