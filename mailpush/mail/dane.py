"""TLSA records and the certificates they vouch for (DANE: RFC 6698, for SMTP RFC 7672). Pure.

Only the usages DANE-TA(2) and DANE-EE(3) count for mail (RFC 7672 section 3.1.3).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy

DANE_TA, DANE_EE = 2, 3
CERT, SPKI = 0, 1
DIGESTS: dict[int, str] = {1: "sha256", 2: "sha512"}
FULL = 0
LONGEST_RECORD = 8192  # octets; a whole certificate is 1 to 2 kB
MOST_RECORDS = 20  # of one server; a roll-over needs four


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record (RFC 6698 section 2.1); `value` is in hexadecimal."""

    usage: int
    selector: int
    matching: int
    value: str

    @property
    def is_usable(self) -> bool:
        """Tell whether a certificate could match it (RFC 7672 section 3.1)."""
        return self.usage in {DANE_TA, DANE_EE} and self.selector in {CERT, SPKI} and self.matching in {FULL, *DIGESTS}

    def matches(self, certificate: x509.Certificate) -> bool:
        octets = (
            certificate.public_bytes(Encoding.DER)
            if self.selector == CERT
            else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
        digest = DIGESTS.get(self.matching)
        return self.value == (hashlib.new(digest, octets).hexdigest() if digest else octets.hex())


def usable(records: Iterable[Any]) -> tuple[Tlsa, ...]:
    """Return the records (of dnspython) that a certificate could match, in an order of their own."""
    found = (Tlsa(record.usage, record.selector, record.mtype, record.cert.hex()) for record in records)
    kept = {record for record in found if record.is_usable and len(record.value) <= 2 * LONGEST_RECORD}
    return tuple(sorted(kept, key=lambda record: (-record.usage, record.selector, record.matching, record.value)))[
        :MOST_RECORDS
    ]


class NotVouchedFor(Exception):
    """No record vouches for the certificate; says why."""


def check(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str]) -> None:
    """Check the certificates that a server has shown against its usable records; one match is enough.

    :param chain: as the server sent it, its own certificate first, each in DER.
    :param names: of which a certificate under a published authority must carry one (section 3.2.2). One that
        is published itself may carry any name and be out of date (section 3.1.1).
    :raises NotVouchedFor: nothing matches.
    """
    try:
        certificates = [x509.load_der_x509_certificate(octets) for octets in chain]
        own, *others = certificates
        if any(record.usage == DANE_EE and record.matches(own) for record in records):
            return
        authorities = [
            *(each for each in certificates if any(r.usage == DANE_TA and r.matches(each) for r in records)),
            *_whole_authorities(records),
        ]
    except ValueError as error:  # not a certificate, none at all, or a key that cannot be read
        raise NotVouchedFor(f"the server's certificate cannot be read: {error}") from error
    if not authorities:
        raise NotVouchedFor("the server's certificate matches none of its TLSA records")
    _check_path(own, others, authorities, names)


def _whole_authorities(records: Sequence[Tlsa]) -> list[x509.Certificate]:
    """Return the authorities that DNS has in full: the server need not show those (RFC 6698 section 2.1.1)."""
    return [
        x509.load_der_x509_certificate(bytes.fromhex(record.value))
        for record in records
        if (record.usage, record.selector, record.matching) == (DANE_TA, CERT, FULL)
    ]


def _is_authority(_policy: object, _certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("a certificate on the way is no authority's")


# Authorities of one's own are made with openssl in the shape of the day; what the web asks of extensions is
# more than DANE does.
AUTHORITY = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
SERVER = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _check_path(
    own: x509.Certificate, others: list[x509.Certificate], authorities: list[x509.Certificate], names: Sequence[str]
) -> None:
    problem = ""
    policy = verification.PolicyBuilder().store(verification.Store(authorities))
    policy = policy.extension_policies(ca_policy=AUTHORITY, ee_policy=SERVER)
    for name in names:
        try:
            policy.build_server_verifier(x509.DNSName(name)).verify(own, others)
        except (verification.VerificationError, ValueError) as error:
            problem = str(error)
        else:
            return
    raise NotVouchedFor(f"the server's certificate is not in order under the authority of its TLSA record: {problem}")
