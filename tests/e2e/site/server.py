"""The test site over HTTP and HTTPS, remembering who asked for what."""

import base64
import hashlib
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.site.resources import make_site


@dataclass
class SiteServer:
    """A running site.

    Attributes:
        http: Port of plain HTTP.
        https: Port of HTTPS.
        spki: Base64 of the SHA-256 of the certificate's public key.
        requests: (path, address it came from) of every request, in order.
    """

    http: int = 0
    https: int = 0
    spki: str = ""
    site: dict = field(default_factory=make_site)
    requests: list = field(default_factory=list)

    async def answer(self, request):
        self.requests.append((request.path, request.remote))
        resource = self.site.get(request.path)
        if resource is None:
            return web.Response(status=404)
        headers = {"Content-Type": resource.kind, "Cache-Control": "max-age=600"}
        return web.Response(body=resource.body, headers=headers)


@asynccontextmanager
async def serve_site(host, name, folder):
    """Run the site on free ports of `host`, with a certificate of a test authority for `name`."""
    server = SiteServer()
    context, server.spki = _certify(name, folder)
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        for tls in (None, context):
            await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        (_, server.http), (_, server.https) = runner.addresses
        yield server
    finally:
        await runner.cleanup()


def _certify(name, folder):
    """A server context whose certificate a fresh authority signed, and its key's hash."""
    issuer_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding, serialization.NoEncryption()
    pem = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    path = folder / "site.pem"
    path.write_bytes(pem + certificate.public_bytes(encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    spki = key.public_key().public_bytes(
        encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return context, base64.b64encode(hashlib.sha256(spki).digest()).decode()
