"""A small authoritative name server on a thread, for peers that look keys up themselves."""

from __future__ import annotations

import socketserver
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.support.gateway import free_port

Records = dict[tuple[str, str], list[str]]
"""From (name, type) to the values in master-file form; TXT values are quoted and split as needed."""


def txt(value: str) -> str:
    """A TXT value in master-file form, split into strings of at most 255 octets."""
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)]
    return " ".join(f'"{piece}"' for piece in pieces)


class NameServer:
    """Answers for `records` over UDP and TCP on `address:port` (port 0: any) until `close`."""

    def __init__(self, records: Records, address: str = "127.0.0.1", port: int = 0) -> None:
        self.records = records
        answer = self._answer

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                sock.sendto(answer(data), self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                length = int.from_bytes(self.rfile.read(2), "big")
                reply = answer(self.rfile.read(length))
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        # One number for both: outside the range from which the kernel takes ports for connections.
        self.port = port or free_port()
        self._udp = socketserver.ThreadingUDPServer((address, self.port), Datagram)
        self._tcp = socketserver.ThreadingTCPServer((address, self.port), Stream)
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            for server in (self._udp, self._tcp)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)

    def _answer(self, octets: bytes) -> bytes:
        query = dns.message.from_wire(octets)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        values = self.records.get((name, kind))
        if values:
            reply.answer.append(
                dns.rrset.from_text_list(question.name, 60, dns.rdataclass.IN, question.rdtype, values)
            )
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()
