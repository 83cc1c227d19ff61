"""DKIM signatures (RFC 6376), relaxed/relaxed, with RSA-SHA256 or Ed25519-SHA256 (RFC 8463).

Everything that does not change between two mails is computed once, because signing bounds
how fast a campaign leaves: beside the RSA operation itself little may happen per mail.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
PublicKey = RSAPublicKey | Ed25519PublicKey

# RFC 6376 section 5.4.1, and what receivers judge a bulk mail by: RFC 8058 section 4 wants
# both List-Unsubscribe fields signed, Gmail wants Feedback-ID signed.
SIGNED_FIELDS = frozenset(
    b"from sender reply-to to cc subject date message-id in-reply-to references mime-version "
    b"content-type content-transfer-encoding content-id content-description list-id list-help "
    b"list-unsubscribe list-unsubscribe-post list-subscribe list-post list-owner list-archive "
    b"resent-date resent-from resent-to resent-cc feedback-id auto-submitted".split()
)

FOLD = b"\r\n\t"
LINE_LENGTH = 72  # leaves room for the tab and the tag below the 78 of RFC 5322 section 2.1.1

ED25519_OCTETS = 64  # of a signature, RFC 8032 section 5.1.6

_RSA_PADDING = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)


class BadSigner(ValueError):
    """The domain, the selector or the key cannot make a signature."""


class NothingToSign(ValueError):
    """The mail has no From field, which RFC 6376 section 5.4 wants signed."""


class Signer:
    """Signs the mails of one domain with one key, which is loaded once."""

    def __init__(self, domain: str, selector: str, private_key: PrivateKey) -> None:
        if not _NAME.fullmatch(domain) or not _NAME.fullmatch(selector):
            raise BadSigner(f"{selector!r} and {domain!r} must be ASCII domain names.")
        if isinstance(private_key, RSAPrivateKey):
            algorithm, self._sign, octets = "rsa", partial(_sign_rsa, private_key), private_key.key_size // 8
        else:
            algorithm, self._sign, octets = "ed25519", partial(_sign_ed25519, private_key), ED25519_OCTETS
        self._signature_size = len(_folded(bytes(octets)))
        self._prefix = (
            f"DKIM-Signature: v=1; a={algorithm}-sha256; c=relaxed/relaxed;\r\n\td={domain};\r\n\ts={selector}; t="
        ).encode()

    def sign(self, headers: bytes, body: bytes, *, now: int, known_body_hash: bytes | None = None) -> bytes:
        """Return the finished DKIM-Signature field, to be put before `headers`.

        `headers` are whole lines ending in CRLF, without the empty line after them; `body` is what
        follows that line, with CRLF only. Where `known_body_hash` (from `body_hash`) is given, the
        body is not looked at.

        :raises NothingToSign: there is no From field.
        """
        begun = self.begin(canonical_headers(headers), known_body_hash or body_hash(body), now=now)
        return self.finish([begun])[0]

    def begin(self, fields: "CanonicalFields", body_hash: bytes, *, now: int) -> "Unsigned":
        """Return what is to be signed, of headers that are canonical already.

        :raises NothingToSign: there is no From field.
        """
        if b"from" not in fields.names:
            raise NothingToSign("The mail has no From field.")
        # Signed once more than there is: a second From added on the way breaks the signature.
        names = _folded_names((*fields.names, b"from"))
        field = b"%b%d;\r\n\th=%b;\r\n\tbh=%b;\r\n\tb=" % (self._prefix, now, names, body_hash)
        # Every fold in the field is ours, so this is all that relaxed canonicalisation does to it.
        return Unsigned(field, fields.octets + b"dkim-signature:" + field[16:].replace(FOLD, b" "))

    def finish(self, begun: Sequence["Unsigned"]) -> list[bytes]:
        """Return the finished fields, signed one right after the other: that keeps the processor's caches warm."""
        signatures = [self._sign(each.octets) for each in begun]
        return [each.field + _folded(signature) for each, signature in zip(begun, signatures, strict=True)]

    def size(self, begun: "Unsigned") -> int:
        """Return how many bytes the finished field will have."""
        return len(begun.field) + self._signature_size


def _sign_rsa(key: RSAPrivateKey, signed: bytes) -> bytes:
    return key.sign(signed, _RSA_PADDING, _SHA256)


def _sign_ed25519(key: Ed25519PrivateKey, signed: bytes) -> bytes:
    """Sign as RFC 8463 section 3 has it: the SHA-256 of the data, not the data."""
    return key.sign(hashlib.sha256(signed).digest())


def body_hash(body: bytes) -> bytes:
    """Return the `bh=` value: base64 of the SHA-256 of the relaxed body."""
    return base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())


def relaxed_body(body: bytes) -> bytes:
    """Canonicalise a body whose lines end in CRLF (RFC 6376 section 3.4.4)."""
    body = single_spaces(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    body = body.rstrip(b" \r\n")
    return body + b"\r\n" if body else b""


def single_spaces(text: bytes) -> bytes:
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


class Unsigned(NamedTuple):
    """A DKIM-Signature field up to its signature, and the octets that are signed."""

    field: bytes
    octets: bytes


class CanonicalFields(NamedTuple):
    """Header fields as they are hashed (RFC 6376 section 3.4.2), and their names for `h=`.

    Fields are taken from the bottom upwards, as verifiers take those of the same name (section 5.4.2): what stands
    further down goes first.
    """

    names: tuple[bytes, ...]
    octets: bytes

    def above(self, lower: "CanonicalFields") -> "CanonicalFields":
        """Return these fields and those below them."""
        return CanonicalFields(lower.names + self.names, lower.octets + self.octets)


def canonical_headers(headers: bytes) -> CanonicalFields:
    """Return those of the fields that are signed; `headers` are whole lines ending in CRLF."""
    unfolded = headers.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    names = []
    fields = []
    for line in reversed(single_spaces(unfolded).split(b"\r\n")):
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" ").lower()
        if colon and name in SIGNED_FIELDS:
            names.append(name)
            fields.append(b"%b:%b\r\n" % (name, value.strip(b" ")))
    return CanonicalFields(tuple(names), b"".join(fields))


def _folded(signature: bytes) -> bytes:
    encoded = base64.b64encode(signature)
    return FOLD.join([encoded[at : at + LINE_LENGTH] for at in range(0, len(encoded), LINE_LENGTH)]) + b"\r\n"


@lru_cache(maxsize=1024)
def _folded_names(names: tuple[bytes, ...]) -> bytes:
    """Return the names joined by colons, folded; mails of one kind have the same ones."""
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > LINE_LENGTH:
            lines.append(b"")
        lines[-1] += name + b":"
    return FOLD.join(lines)[:-1]


# Keys


def generate_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=bits)


def to_pem(key: PrivateKey) -> bytes:
    """Return the key as unencrypted PKCS #8: encrypt it before it is stored."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def from_pem(pem: bytes) -> PrivateKey:
    """Load a private key.

    :raises BadSigner: the text is no RSA or Ed25519 private key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadSigner("That is not a private key in PEM form without a password.") from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise BadSigner("DKIM knows RSA and Ed25519 keys only.")
    return key


def public_record(key: PrivateKey | PublicKey) -> str:
    """Return the TXT record to publish (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    public = key.public_key() if isinstance(key, RSAPrivateKey | Ed25519PrivateKey) else key
    if isinstance(public, RSAPublicKey):
        kind = "rsa"
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    else:
        kind = "ed25519"
        encoding, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    value = base64.b64encode(public.public_bytes(encoding, form)).decode()
    return f"v=DKIM1; k={kind}; p={value}"


def record_bits(record: str) -> int:
    """Return the length of the RSA key in a record that `public_record` made."""
    encoded = next(tag.strip().removeprefix("p=") for tag in record.split(";") if tag.strip().startswith("p="))
    key = serialization.load_der_public_key(base64.b64decode(encoded))
    assert isinstance(key, RSAPublicKey)
    return key.key_size
