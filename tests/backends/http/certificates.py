"""Certificates, made for a test: an authority, and what it vouches for."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """One with its key; a file that can be trusted, and a context to serve with."""

    public: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.public.public_bytes(serialization.Encoding.PEM)

    def trusted(self, folder: Path) -> Path:
        """A file of authorities with this one in it."""
        file = folder / "authorities.pem"
        file.write_bytes(self.pem)
        return file

    def serving(self, folder: Path) -> ssl.SSLContext:
        """What a server speaks TLS with."""
        secret = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = folder / f"{self.public.serial_number}.pem"
        file.write_bytes(secret + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@cache
def authority(name: str = "A") -> Certificate:
    return issue(f"authority {name}", by=None, is_authority=True)


def issue(
    name: str = "127.0.0.1",
    *,
    by: Certificate | None,
    ends: timedelta = DAY,
    begins: timedelta = -DAY,
    is_authority: bool = False,
) -> Certificate:
    """A certificate for a name or an address, signed by somebody or (None) by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.public.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not is_authority:
        names = x509.SubjectAlternativeName([_alternative(name)])
        builder = builder.add_extension(names, critical=False)
    return Certificate(builder.sign(by.key if by else key, hashes.SHA256()), key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
