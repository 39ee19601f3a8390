"""The notice page of an exit: what somebody sees who looks up the address that bothered them.

It is the front page of an exit without a web site of its own.
No scripts, nothing from elsewhere; every value is escaped, and the style is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template
from typing import Final

from node.config import NodeConfig
from node.exit.policy import ExitPolicy
from node.htx.site import Page, StaticSite

_STYLE: Final = (
    "body{margin:0;font:1rem/1.6 system-ui,sans-serif;color:#22303a;background:#faf6ee}"
    "main{max-width:42rem;margin:2rem auto;padding:0 1rem}h1{line-height:1.2}"
    "pre{background:#fff;border:1px solid #e4ddcd;padding:.8rem;white-space:pre-wrap;"
    "overflow-wrap:anywhere}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)
"""What the page may do: show its one style, nothing else."""

HEADERS: Final = (
    ("content-security-policy", f"{CSP}; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "max-age=3600"),
)

NO_OPERATOR: Final = "The operator has not given a name."
NO_CONTACT: Final = "none given"
_HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the page says.

    Attributes:
        operator: Who runs the exit, in the operator's words; may be empty.
        contact: How to reach them; may be empty.
        policy: The exit policy in force.
    """

    operator: str
    contact: str
    policy: ExitPolicy

    def html(self) -> str:
        """The page."""
        template = resources.files("node.exit").joinpath("notice.html").read_text("utf-8")
        rules = "\n".join(map(str, self.policy.rules)) or "reject *:*"
        return Template(template).substitute(
            csp=escape(CSP, quote=True),
            style=_STYLE,
            operator=escape(self.operator or NO_OPERATOR),
            contact=escape(self.contact or NO_CONTACT),
            summary=escape(self.policy.summary()),
            rules=escape(rules),
        )

    def site(self) -> StaticSite:
        """A web site of this page only."""
        body = self.html().encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        robots = b"User-agent: *\nDisallow: /\n"
        return StaticSite(
            {
                "/index.html": Page(_HTML, body, etag, HEADERS),
                "/robots.txt": Page("text/plain", robots, f'"{len(robots):x}"'),
            }
        )


def configured_notice(config: NodeConfig, policy: ExitPolicy) -> Notice:
    """The notice of a node's configuration."""
    return Notice(config.exit.operator, config.exit.contact, policy)
