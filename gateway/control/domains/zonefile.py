"""Records as zone files have them (RFC 1035 §5), and back. Pure.

Values elsewhere are as people write them: names without a final dot, texts in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.txtbase import TXTBase

_PIECE = 255
_ENDS_WITH_NAME = ("MX", "CNAME", "PTR", "SRV", "NS")


def zone_line(name: str, kind: str, value: str, ttl: int = 3_600) -> str:
    """One record on a line of its own, every name whole."""
    return f"{name.rstrip('.')}. {ttl} IN {kind} {master_value(kind, value)}"


def master_value(kind: str, value: str) -> str:
    """A value in master-file form: texts quoted, in strings of 255 octets; names with their dot."""
    if kind == "TXT":
        pieces = text_pieces(value)
        written = " ".join(f'"{_escaped(piece)}"' for piece in pieces)
        return f"( {written} )" if len(pieces) > 1 else written
    if kind in _ENDS_WITH_NAME:
        return value.rstrip(".") + "."
    return value


def text_pieces(text: str) -> list[bytes]:
    """The strings of a TXT record."""
    octets = text.encode()
    return [octets[start : start + _PIECE] for start in range(0, len(octets), _PIECE)] or [b""]


def plain_value(record: dns.rdata.Rdata) -> str:
    """What a record says, as people write it."""
    if isinstance(record, TXTBase):
        return b"".join(record.strings).decode("utf-8", "backslashreplace")
    if isinstance(record, MX):
        return f"{record.preference} {record.exchange.to_text(omit_final_dot=True).lower()}"
    text = record.to_text()
    return text.rstrip(".").lower() if dns.rdatatype.to_text(record.rdtype) in _ENDS_WITH_NAME else text


def rdata_of(kind: str, values: Sequence[str]) -> Iterator[dns.rdata.Rdata]:
    """Records of dnspython. Raises DNSException for a value that is none of its type."""
    for value in values:
        written = master_value(kind, value).removeprefix("( ").removesuffix(" )")
        yield dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), written)


def _escaped(piece: bytes) -> str:
    return "".join(
        f"\\{chr(octet)}" if octet in b'"\\' else chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"
        for octet in piece
    )
