"""TLS through utls: contexts, self-signed certificates, and a stream without sockets.

No session tickets and no early data on either side; the client checks the certificate's key itself.
"""

import datetime as dt
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Final

import utls
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.errors import NodeConfigError
from node.htx.keys import ServerKeys
from node.htx.template import ChromeTemplate
from qnet.crypto.kdf import blake3

ALPN: Final = ("h2", "http/1.1")
CERTIFICATE_DAYS: Final = 825
READ_BYTES: Final = 16_384
"""Most bytes of one TLS record: one read takes all of it."""

_HEADER_BYTES: Final = 5
_APPLICATION_DATA: Final = 23
_MAX_CIPHERTEXT_BYTES: Final = READ_BYTES + 256


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key.

    Attributes:
        chain_pem: leaf first.
        key_pem: private key of the leaf, PKCS #8.
        spki_hash: BLAKE3 of the leaf's DER SubjectPublicKeyInfo, 32 bytes.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    spki_hash: bytes


def generate_certificate(name: str, now: dt.datetime) -> Certificate:
    """Make a self-signed ECDSA P-256 certificate for a host name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1 + secrets.randbelow(30)))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _spki_hash(certificate),
    )


def load_certificate(chain_pem: bytes, key_pem: bytes) -> Certificate:
    """Read a certificate the operator has.

    Raises:
        NodeConfigError: not PEM.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except ValueError as error:
        raise NodeConfigError("the certificate cannot be read", why=str(error)) from error
    return Certificate(chain_pem, key_pem, _spki_hash(leaf))


def _spki_hash(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    return blake3(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@cache
def default_template() -> ChromeTemplate:
    """The Chrome template that ships with this version."""
    return ChromeTemplate.decode(
        resources.files("node.htx").joinpath("templates/chrome.json").read_bytes()
    )


@lru_cache(maxsize=8)
def client_context(template: ChromeTemplate) -> utls.SSLContext:
    """TLS as the template's browser speaks it; certificates are pinned, not verified.

    One context serves all links of a process, as in the browser.
    """
    context = utls.SSLContext(utls.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = utls.CERT_NONE
    context.set_fingerprint(utls.Fingerprint.from_dict(template.tls))
    return context


def server_context(keys: ServerKeys) -> utls.SSLContext:
    """TLS as the node's web site speaks it."""
    context = utls.SSLContext(utls.PROTOCOL_TLS_SERVER)
    context.minimum_version = utls.TLSVersion.TLSv1_2
    context.load_cert_chain(keys.certificate_pem, keys.certificate_key_pem)
    context.set_alpn_protocols(ALPN)
    context.num_tickets = 0
    return context


class TlsStream:
    """One TLS connection over byte strings.

    The engine gets one TLS record at a time: what it holds is moved at each of its reads, and a
    read that ends in the middle of a record costs an exception with all that its traceback holds.

    Args:
        context: from `client_context` or `server_context`.
        server_name: SNI, for clients; None makes a server.
    """

    __slots__ = ("_at", "_incoming", "_is_data", "_missing", "_outgoing", "_tls", "_waiting")

    def __init__(self, context: utls.SSLContext, server_name: str | None) -> None:
        self._waiting = b""
        self._at = 0
        self._missing = 0
        self._is_data = False
        self._incoming = utls.MemoryBIO()
        self._outgoing = utls.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=server_name,
        )

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket; `handshake` and `read` use up what was fed before."""
        self._waiting = self._waiting[self._at :] + data if self._waiting else data
        self._at = 0

    def _feed_step(self) -> bool:
        """Move the rest of one record to the engine, or as much of it as there is."""
        waiting, at = self._waiting, self._at
        rest = len(waiting) - at
        wanted = self._missing
        if not wanted:
            if rest < _HEADER_BYTES:
                return False
            length = waiting[at + 3] << 8 | waiting[at + 4]
            self._is_data = waiting[at] == _APPLICATION_DATA and length <= _MAX_CIPHERTEXT_BYTES
            wanted = _HEADER_BYTES + length
        size = min(wanted, rest)
        self._missing = wanted - size
        self._incoming.write(waiting[at : at + size])
        if size == rest:
            self._waiting, self._at = b"", 0
        else:
            self._at = at + size
        return size > 0

    def output(self) -> bytes:
        """Return the bytes for the socket."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done.

        Raises:
            utls.SSLError: it failed; `output` may hold an alert.
        """
        while True:
            try:
                self._tls.do_handshake()
            except utls.SSLWantReadError:
                if not self._feed_step():
                    return False
            else:
                return True

    def read(self) -> bytes:
        """Return some decrypted bytes; empty when more must be fed first.

        Raises:
            utls.SSLError: the connection is broken.
            EOFError: the peer closed the stream.
        """
        while self._feed_step():
            if self._missing and self._is_data:
                return b""  # anything else the engine judges as soon as it comes
            try:
                data: bytes = self._tls.read(READ_BYTES)
            except utls.SSLWantReadError:  # a record of TLS itself
                continue
            if not data:
                raise EOFError
            return data
        return b""

    def write(self, piece: bytes) -> None:
        """Encrypt up to 16,384 bytes as one TLS record."""
        self._tls.write(piece)

    def encrypt(self, pieces: Iterable[bytes]) -> list[bytes]:
        """Encrypt each piece as one TLS record; return the records for the socket.

        Each is taken out at once: the engine's buffer keeps the size it once had, and moves what it
        holds when it grows.
        """
        write, take = self._tls.write, self._outgoing.read
        records = []
        for piece in pieces:
            write(piece)
            records.append(take())
        return records

    def close(self) -> None:
        """Say close_notify."""
        try:
            self._tls.unwrap()
        except utls.SSLError:  # the peer need not answer
            return

    @property
    def alpn(self) -> str | None:
        """Protocol agreed on."""
        return self._tls.selected_alpn_protocol()

    @property
    def version(self) -> str | None:
        """TLS version agreed on."""
        return self._tls.version()

    def peer_spki_hash(self) -> bytes:
        """BLAKE3 of the public key that the peer's leaf certificate holds; zeros without one."""
        der = self._tls.getpeercert(binary_form=True)
        return _spki_hash(x509.load_der_x509_certificate(der)) if der else bytes(32)
