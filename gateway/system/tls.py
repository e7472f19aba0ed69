"""The server's side of TLS: a context that takes new certificates while it serves, certificates for demos."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.system.config import TlsFiles

# Forward secrecy always; authenticated ciphers first, and CBC last for TLS 1.2 clients without them.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!PSK:!AESCCM:!SHA1"
_CA_DAYS = 3_650
_LEAF_DAYS = 825


class TlsError(Exception):
    """A certificate or key cannot be used; the text says which, why, and what to do."""


class ServerTls:
    """The TLS context of all listening ports. Made before the fork: processes then share ticket keys."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises TlsError."""
        self.context = server_context(files)

    def reload(self, files: TlsFiles) -> None:
        """Use new files from the next handshake on. Raises TlsError, and then the old ones stay."""
        # Tried on a context of its own: half a pair must not reach the live one.
        server_context(files)
        _load(self.context, files)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3 with the files' certificate. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    for path, what in ((files.certificate, "certificate"), (files.key, "key")):
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlsError(f"the TLS {what} {path} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        raise TlsError(_reason(error, files)) from error
    except _PasswordNeeded:
        raise TlsError(
            f"the TLS key {files.key} is encrypted; remove its password: openssl pkey -in {files.key} -out …"
        ) from None


class _PasswordNeeded(Exception):
    pass


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and wait.
    raise _PasswordNeeded


def _reason(error: ssl.SSLError, files: TlsFiles) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the TLS key {files.key} does not belong to the certificate {files.certificate}; name a pair"
    return (
        f"{files.certificate} and {files.key} are not a PEM certificate chain and its key "
        f"({(error.reason or 'unknown error').lower().replace('_', ' ')})"
    )


def certificate_warnings(files: TlsFiles, hostname: str, at: float) -> list[str]:
    """What is wrong with a usable certificate at a time (seconds since 1970): its dates and its names."""
    now = datetime.fromtimestamp(at, UTC)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    warnings = []
    ends = certificate.not_valid_after_utc
    if ends <= now:
        warnings.append(f"the certificate expired at {ends:%Y-%m-%dT%H:%MZ}; renew it")
    elif ends - now < timedelta(days=14):
        warnings.append(f"the certificate expires at {ends:%Y-%m-%dT%H:%MZ}; renew it")
    if certificate.not_valid_before_utc > now:
        warnings.append(
            f"the certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%MZ}"
        )
    if not any(_covers(name, hostname) for name in _names(certificate)):
        warnings.append(
            f"the certificate does not name {hostname}; clients that connect to it will refuse it"
        )
    return warnings


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _covers(name: str, hostname: str) -> bool:
    """RFC 6125 §6.4.3: a wildcard stands for one whole left-most label."""
    name = name.lower()
    if name.startswith("*."):
        return hostname.partition(".")[2] == name[2:]
    return name == hostname


def make_certificates(
    folder: Path,
    at: float,
    *,
    names: Sequence[str] = ("localhost",),
    addresses: Sequence[str] = ("127.0.0.1", "::1"),
) -> None:
    """Write `ca.pem`, `certificate.pem` and `key.pem` (0600) for a demo: a CA whose key is thrown away.

    `at`: now, in seconds since 1970.
    """
    now = datetime.fromtimestamp(at, UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gatepost demo CA")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), ca_key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    leaf = (
        _builder(leaf_name, ca_name, key.public_key(), ca_key.public_key(), now, _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "certificate.pem").write_bytes(leaf.public_bytes(pem))
    descriptor = os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    begins = now - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
