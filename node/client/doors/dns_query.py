"""DNS questions of applications as bytes in, bytes out. No sockets here.

Addresses (A, AAAA) are asked of an exit; everything else is answered here, so that no question
leaves this machine in another way. What no exit can answer gets NXDOMAIN rather than REFUSED where
a resolver would turn to its next server.

Source: RFC 1035; RFC 6303 (private reverse zones), 6761 and 7686 (special names), 6891 (EDNS),
8482 (ANY), 8914 (extended errors), 9460 (HTTPS).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from node.circuit.messages import MAX_HOST_BYTES, Answer, EndReason
from node.client.doors.door import is_address, is_local_name

MAX_QUERY_BYTES: Final = 4_096
UDP_ANSWER_BYTES: Final = 1_232
"""Longest UDP answer to a client that announces EDNS; 512 to others."""

_PLAIN_UDP_BYTES: Final = 512
_TCP_BYTES: Final = 65_535
_HEADER_BYTES: Final = 12
_RESPONSE_BIT: Final = 0x80
_HOME_NAMES: Final = ("localhost", "invalid")

_RESOLVED: Final = frozenset({dns.rdatatype.A, dns.rdatatype.AAAA})
_EMPTY: Final = frozenset({dns.rdatatype.HTTPS, dns.rdatatype.SVCB})
"""Answered as if the name had none: browsers then connect without."""
_REFUSED: Final = frozenset(
    {
        *(dns.rdatatype.ANY, dns.rdatatype.AXFR, dns.rdatatype.IXFR),
        *(dns.rdatatype.MAILA, dns.rdatatype.MAILB),
    }
)
_RCODES: Final = {
    EndReason.NAME_NOT_FOUND: dns.rcode.NXDOMAIN,
    EndReason.POLICY: dns.rcode.REFUSED,
}


Verdict = tuple[dns.rcode.Rcode, str]
"""A response code and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """A name whose addresses an exit is to look up.

    Attributes:
        host: The name without its last dot, in lower case.
        message: The query, for the answer.
    """

    host: str
    message: dns.message.Message


def read_query(data: bytes) -> Question | bytes | None:
    """Read one query.

    Returns:
        The question, if an exit is to answer it; else the answer; None for what deserves none.
    """
    if not _HEADER_BYTES <= len(data) <= MAX_QUERY_BYTES or data[2] & _RESPONSE_BIT:
        return None
    try:
        message = dns.message.from_wire(data, ignore_trailing=False)
    except (dns.exception.DNSException, ValueError):
        return _malformed(data)
    verdict = _broken(message) or _not_asked_of_exits(message.question[0])
    if verdict is not None:
        return _answered(message, *verdict)
    return Question(_host(message.question[0].name), message)


def answer_with(question: Question, answers: Iterable[Answer], *, over_tcp: bool) -> bytes:
    """The addresses of the type that was asked for; none of it is NOERROR and empty."""
    asked = question.message.question[0]
    response = _response(question.message, dns.rcode.NOERROR)
    size = 4 if asked.rdtype == dns.rdatatype.A else 16
    fitting = [answer for answer in answers if len(answer.address) == size]
    if fitting:
        ttl = min(answer.ttl_s for answer in fitting)
        texts = [str(ip_address(answer.address)) for answer in fitting]
        response.answer.append(
            dns.rrset.from_text(asked.name, ttl, asked.rdclass, asked.rdtype, *texts)
        )
    return _encoded(response, question.message, over_tcp=over_tcp)


def answer_failure(question: Question, reason: EndReason, why: str, *, over_tcp: bool) -> bytes:
    """NXDOMAIN for a name that does not exist, SERVFAIL for all that may pass."""
    rcode = _RCODES.get(reason, dns.rcode.SERVFAIL)
    response = _response(question.message, rcode, why)
    return _encoded(response, question.message, over_tcp=over_tcp)


def _broken(message: dns.message.Message) -> Verdict | None:
    """The verdict on a query that is not one plain question."""
    if message.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP, ""
    if message.edns > 0:
        return dns.rcode.BADVERS, ""
    if len(message.question) != 1:
        return dns.rcode.FORMERR, ""
    return None


def _not_asked_of_exits(question: dns.rrset.RRset) -> Verdict | None:
    """The verdict on a question that is answered here."""
    kind = question.rdtype
    host = _host(question.name)
    plain = question.name != dns.name.root and len(host) <= MAX_HOST_BYTES and _is_plain(host)
    verdicts = (
        (question.rdclass != dns.rdataclass.IN, dns.rcode.REFUSED, "only class IN is served"),
        (kind in _REFUSED, dns.rcode.REFUSED, "this type is refused"),
        (_is_private(question.name), dns.rcode.NXDOMAIN, "a name of another system or network"),
        (kind in _EMPTY, dns.rcode.NOERROR, ""),
        (kind not in _RESOLVED, dns.rcode.NOTIMP, "exits look up addresses (A, AAAA) only"),
        (not plain, dns.rcode.NXDOMAIN, "not a host name"),
    )
    return next(((rcode, why) for holds, rcode, why in verdicts if holds), None)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _is_private(name: dns.name.Name) -> bool:
    """Whether a name means nothing outside, or is the reverse of an address that is not public."""
    text = _host(name)
    if is_local_name(text) or is_address(text) or text.rpartition(".")[2] in _HOME_NAMES:
        return True
    try:
        address = ip_address(dns.reversename.to_address(name))
    except (dns.exception.DNSException, ValueError):
        return False
    return not address.is_global or address.is_multicast


def _is_plain(host: str) -> bool:
    """Whether a name has no escapes: dots inside labels, control characters, other bytes."""
    return "\\" not in host and all("!" <= letter <= "~" for letter in host)


def _response(
    query: dns.message.Message, rcode: dns.rcode.Rcode, why: str = ""
) -> dns.message.Message:
    response = dns.message.make_response(
        query, recursion_available=True, our_payload=UDP_ANSWER_BYTES
    )
    response.set_rcode(rcode)
    if why and query.edns >= 0:
        said = dns.edns.EDEOption(dns.edns.EDECode.OTHER, why[:200])
        response.use_edns(0, 0, UDP_ANSWER_BYTES, options=[said])
        response.set_rcode(rcode)
    return response


def _answered(query: dns.message.Message, rcode: dns.rcode.Rcode, why: str = "") -> bytes:
    """An answer without records; it is small enough for any transport."""
    return _encoded(_response(query, rcode, why), query, over_tcp=True)


def _encoded(response: dns.message.Message, query: dns.message.Message, *, over_tcp: bool) -> bytes:
    limit = _TCP_BYTES
    if not over_tcp:
        announced = query.payload if query.edns >= 0 else 0
        limit = max(_PLAIN_UDP_BYTES, min(announced, UDP_ANSWER_BYTES))
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)


def _malformed(data: bytes) -> bytes:
    """FORMERR with the id of the query and nothing else of it."""
    opcode_and_rd = data[2] & 0x79
    flags = bytes((_RESPONSE_BIT | opcode_and_rd, int(dns.rcode.FORMERR)))
    return data[:2] + flags + bytes(8)
