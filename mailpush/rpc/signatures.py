"""DirectMail's two signature schemes, from the request's parts to the string that is signed, and its signature.

V1 signs the parameters (query and form together) by HMAC-SHA1 or -SHA256; V3 (ACS3-HMAC-SHA256, ACS3-HMAC-SM3)
signs method, query, chosen headers and the hash of the body. Pure: no database, no clock.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

Pairs = Iterable[tuple[str, str]]

V1_DIGESTS = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}
V3_SHA256, V3_SM3 = "ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"
# Without these in the signature, what they say could be changed on the way.
V3_MUST_SIGN = frozenset(
    {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The header of V3: `ACS3-HMAC-SHA256 Credential=<key>,SignedHeaders=<a;b>,Signature=<hex>`."""

    algorithm: str
    key_id: str
    signed_headers: tuple[str, ...]
    signature: str


class BadAuthorization(ValueError):
    """The header is not of that form."""


def percent(text: str) -> str:
    """Encode as RFC 3986 has it: everything but letters, digits and `-_.~`."""
    return quote(text, safe="-_.~")


def canonical_query(pairs: Pairs) -> str:
    """Return the parameters as both schemes sign them: decoded, then encoded one way, sorted by name."""
    return "&".join(f"{percent(name)}={percent(value)}" for name, value in sorted(pairs))


# V1


def v1_string_to_sign(method: str, pairs: Pairs) -> str:
    """Return the string of all parameters save the signature; an empty value counts as `name=`."""
    signed = canonical_query((name, value) for name, value in pairs if name != "Signature")
    return f"{method}&{percent('/')}&{percent(signed)}"


def v1_signature(string_to_sign: str, secret: str, *, method: str = "HMAC-SHA1", ending: str = "&") -> str:
    """Return the signature; without the ending of the key it is a wrong one, which `checking` looks for."""
    digest = hmac.digest(f"{secret}{ending}".encode(), string_to_sign.encode(), V1_DIGESTS[method])
    return base64.b64encode(digest).decode()


# V3


def read_authorization(header: str) -> Authorization:
    """Read the header.

    :raises BadAuthorization: it has another form.
    """
    algorithm, _, rest = header.strip().partition(" ")
    fields = dict[str, str]()
    for part in rest.split(","):
        name, separator, value = part.strip().partition("=")
        if not separator or name in fields:
            raise BadAuthorization(header)
        fields[name] = value
    if fields.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise BadAuthorization(header)
    signed = tuple(name.lower() for name in fields["SignedHeaders"].split(";"))
    if len(set(signed)) != len(signed):
        raise BadAuthorization(header)
    return Authorization(algorithm, fields["Credential"], signed, fields["Signature"])


def v3_canonical_request(
    method: str, query: Pairs, headers: Mapping[str, str], signed_headers: Iterable[str], payload_hash: str
) -> str:
    """Return what is hashed; `headers` by lower-case name, those that are absent count as empty."""
    names = sorted(signed_headers)
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
    return "\n".join([method, "/", canonical_query(query), lines, ";".join(names), payload_hash])


def v3_string_to_sign(algorithm: str, canonical_request: str) -> str:
    return f"{algorithm}\n{v3_hash(algorithm, canonical_request.encode())}"


def v3_signature(algorithm: str, string_to_sign: str, secret: str) -> str:
    if algorithm == V3_SM3:
        mac = HMAC(secret.encode(), hashes.SM3())
        mac.update(string_to_sign.encode())
        return mac.finalize().hex()
    return hmac.digest(secret.encode(), string_to_sign.encode(), "sha256").hex()


def v3_hash(algorithm: str, data: bytes) -> str:
    """Return the hash of a body, or of a canonical request, that belongs to the algorithm."""
    if algorithm == V3_SM3:
        sm3 = hashes.Hash(hashes.SM3())
        sm3.update(data)
        return sm3.finalize().hex()
    return hashlib.sha256(data).hexdigest()
