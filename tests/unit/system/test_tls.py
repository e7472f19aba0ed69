"""Certificates: made, loaded, exchanged while serving, judged."""

import socket
import ssl
import stat
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.system.config import TlsFiles
from gateway.system.tls import ServerTls, TlsError, certificate_warnings, make_certificates, server_context

DAY = 86_400


def pair(folder: Path, *, at: float | None = None, names: tuple[str, ...] = ("localhost",)) -> TlsFiles:
    make_certificates(folder, time.time() if at is None else at, names=names)
    return TlsFiles(folder / "certificate.pem", folder / "key.pem")


def shaken(server: ssl.SSLContext, ca_file: Path, **options: ssl.TLSVersion) -> ssl.SSLSocket:
    """The client's end of one handshake over a socket pair, closed."""
    client = ssl.create_default_context(cafile=ca_file)
    for name, value in options.items():
        setattr(client, name, value)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            try:
                server.wrap_socket(theirs, server_side=True).close()
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname="localhost") as wrapped:
            return wrapped
    finally:
        thread.join()


def test_a_made_certificate_is_trusted_by_its_ca(tmp_path: Path) -> None:
    files = pair(tmp_path)
    shaken(server_context(files), tmp_path / "ca.pem")
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_tls_1_2_and_not_1_1(tmp_path: Path) -> None:
    context = server_context(pair(tmp_path))
    shaken(context, tmp_path / "ca.pem", maximum_version=ssl.TLSVersion.TLSv1_2)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    for cipher in context.get_ciphers():
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")


def test_an_exchange_reaches_the_next_handshake(tmp_path: Path) -> None:
    old, new = pair(tmp_path / "old"), pair(tmp_path / "new")
    tls = ServerTls(old)
    context = tls.context
    shaken(context, tmp_path / "old/ca.pem")
    tls.reload(new)
    assert tls.context is context
    shaken(context, tmp_path / "new/ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(context, tmp_path / "old/ca.pem")


def test_a_bad_pair_leaves_the_old_one(tmp_path: Path) -> None:
    files, other = pair(tmp_path / "a"), pair(tmp_path / "b")
    tls = ServerTls(files)
    for bad in (
        TlsFiles(other.certificate, files.key),
        TlsFiles(other.key, other.certificate),
        TlsFiles(tmp_path / "none", other.key),
    ):
        with pytest.raises(TlsError):
            tls.reload(bad)
        shaken(tls.context, tmp_path / "a/ca.pem")


def test_reasons(tmp_path: Path) -> None:
    files, other = pair(tmp_path / "a"), pair(tmp_path / "b")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    for bad, said in (
        (TlsFiles(files.certificate, other.key), "does not belong to"),
        (TlsFiles(files.certificate, tmp_path / "none"), "No such file"),
        (TlsFiles(files.certificate, locked), "is encrypted"),
        (TlsFiles(files.key, files.key), "are not a PEM"),
    ):
        with pytest.raises(TlsError, match=said):
            server_context(bad)


@pytest.mark.parametrize(
    ("hostname", "days", "said"),
    [
        ("mail.example.com", 0, []),
        ("a.example.org", 0, []),
        ("b.a.example.org", 0, ["does not name"]),
        ("mail.example.com", 815, ["expires at"]),
        ("mail.example.com", 900, ["expired at"]),
        ("mail.example.com", -3, ["valid only from"]),
    ],
)
def test_warnings(tmp_path: Path, hostname: str, days: int, said: list[str]) -> None:
    now = 1_800_000_000.0
    files = pair(tmp_path, at=now, names=("mail.example.com", "*.example.org"))
    warnings = certificate_warnings(files, hostname, now + days * DAY)
    assert len(warnings) == len(said)
    for warning, word in zip(warnings, said, strict=True):
        assert word in warning
