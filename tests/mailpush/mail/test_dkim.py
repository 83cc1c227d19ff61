import base64
import logging

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpush.mail import dkim

NOW = 1_790_000_000
RSA_KEY = dkim.generate_key()
ED25519_KEY = Ed25519PrivateKey.generate()
RSA = dkim.Signer("shop.example", "m1", RSA_KEY)
ED25519 = dkim.Signer("shop.example", "e1", ED25519_KEY)
RECORDS = {
    b"m1._domainkey.shop.example.": dkim.public_record(RSA_KEY).encode(),
}
HEADERS = (
    b"From: Shop <news@shop.example>\r\n"
    b"To: kim@elsewhere.example\r\n"
    b"Subject: Hello\r\n"
    b"List-Unsubscribe: <https://shop.example/u/1>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"X-Campaign: 7\r\n"
)


QUIET = logging.getLogger("dkimpy")
QUIET.setLevel(logging.CRITICAL)


def is_valid(message):
    return dkimpy.verify(message, logger=QUIET, dnsfunc=lambda name, timeout=5: RECORDS.get(name))


class Ed25519Verifier:
    """The key as dkimpy uses it; its own way to load one needs PyNaCl."""

    def verify(self, digest, signature):
        ED25519_KEY.public_key().verify(signature, digest)


def is_valid_ed25519(message):
    judge = dkimpy.DKIM(message, logger=QUIET)
    signature, names, fields = judge.verify_headerprep()
    judge.pk, judge.ktag, judge.seqtlsrpt = Ed25519Verifier(), b"ed25519", False
    return judge.verify_sig_process(signature, names, fields[0], None)


def signed(headers, body, signer=RSA):
    return signer.sign(headers, body, now=NOW) + headers + b"\r\n" + body


spaces = st.text(" \t", max_size=4)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
ragged = st.lists(st.one_of(words, spaces), max_size=8).map("".join)
bodies = st.lists(ragged, max_size=12).map("\r\n".join)
# A mail always ends in CRLF: SMTP has no other way to end it (RFC 5321 section 4.1.1.4).
endings = st.sampled_from(["\r\n", "\r\n\r\n", " \r\n\t\r\n", "\r\n \t\r\n", "\r\n" * 5])
names = st.sampled_from(["To", "Subject", "subject", "DATE", "Message-ID", "Reply-To", "Received", "List-Unsubscribe"])


@st.composite
def fields(draw):
    """One field with odd white space, perhaps folded, perhaps empty."""
    pieces = draw(st.lists(words, max_size=4))
    folds = [draw(st.sampled_from([" ", "\t ", "\r\n ", "\r\n\t", " \r\n  "])) for _ in pieces]
    value = "".join(fold + piece for fold, piece in zip(folds, pieces, strict=True))
    return draw(names) + ":" + value + draw(spaces) + "\r\n"


@pytest.mark.parametrize(("signer", "accepts"), [(RSA, is_valid), (ED25519, is_valid_ed25519)], ids=["rsa", "ed25519"])
@settings(max_examples=200, deadline=None)
@given(before=st.lists(fields(), max_size=4), after=st.lists(fields(), max_size=4), body=bodies, end=endings)
def test_another_implementation_accepts_every_message(signer, accepts, before, after, body, end):
    headers = ("".join(before) + "From:  a@shop.example \r\n" + "".join(after)).encode()

    assert accepts(signed(headers, (body + end).encode(), signer))


@settings(max_examples=300, deadline=None)
@given(body=bodies, end=endings)
def test_relaxed_body_is_the_same_as_in_another_implementation(body, end):
    raw = (body + end).encode()

    assert dkim.relaxed_body(raw) == dkimpy.canonicalization.Relaxed.canonicalize_body(raw)


@pytest.mark.parametrize(
    "changed",
    [
        lambda mail: mail.replace(b"Subject: Hello", b"Subject: Hallo"),
        lambda mail: mail.replace(b"/u/1", b"/u/2"),
        lambda mail: mail.replace(b"One-Click", b"Two-Click"),
        lambda mail: mail.replace(b"Good day", b"Good dog"),
        lambda mail: b"From: fraud@shop.example\r\n" + mail,
        lambda mail: mail.replace(b"t=1790000000", b"t=1790000001"),
    ],
    ids=["subject", "unsubscribe", "unsubscribe-post", "body", "second-from", "time"],
)
def test_changed_message_is_refused(changed):
    mail = signed(HEADERS, b"Good day\r\n")

    assert is_valid(mail)
    assert not is_valid(changed(mail))


def test_from_is_signed_once_more_than_it_is_there():
    signature = RSA.sign(HEADERS, b"", now=NOW).replace(b"\r\n\t", b"")
    names = signature.partition(b"h=")[2].partition(b";")[0].split(b":")

    assert names == [b"list-unsubscribe-post", b"list-unsubscribe", b"subject", b"to", b"from", b"from"]


def test_unsigned_field_may_change_on_the_way():
    mail = signed(HEADERS, b"Good day\r\n")

    assert is_valid(mail.replace(b"X-Campaign: 7", b"X-Campaign: 8"))


def test_known_body_hash_spares_the_body():
    known = dkim.body_hash(b"Good day\r\n")

    assert RSA.sign(HEADERS, b"", now=NOW, known_body_hash=known) == RSA.sign(HEADERS, b"Good day\r\n", now=NOW)


def test_body_hash_of_the_empty_body():
    # RFC 6376 section 3.4.4
    assert dkim.body_hash(b"") == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert dkim.body_hash(b"\r\n\r\n") == dkim.body_hash(b"")


def test_signature_is_one_field_of_short_lines():
    lines = RSA.sign(HEADERS, b"Good day\r\n", now=NOW).split(b"\r\n")

    assert lines[-1] == b""
    assert lines[0].startswith(b"DKIM-Signature: v=1; a=rsa-sha256;")
    assert all(line.startswith(b"\t") for line in lines[1:-1])
    assert max(map(len, lines)) <= 78


def test_message_without_from_is_not_signed():
    with pytest.raises(dkim.NothingToSign):
        RSA.sign(b"To: kim@elsewhere.example\r\n", b"", now=NOW)


@pytest.mark.parametrize("name", ["", "shop.example; x=1", "shop.example\r\nX: 1", "商店.example", "a..b"])
def test_names_that_would_break_the_field_are_refused(name):
    with pytest.raises(dkim.BadSigner):
        dkim.Signer(name, "m1", RSA_KEY)
    with pytest.raises(dkim.BadSigner):
        dkim.Signer("shop.example", name, RSA_KEY)


@pytest.mark.parametrize("key", [RSA_KEY, ED25519_KEY], ids=["rsa", "ed25519"])
def test_key_survives_pem(key):
    again = dkim.from_pem(dkim.to_pem(key))

    assert dkim.public_record(again) == dkim.public_record(key.public_key())


def test_ed25519_record_holds_the_bare_key():
    # The key pair of RFC 8463 appendix A
    seed = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")

    assert dkim.public_record(Ed25519PrivateKey.from_private_bytes(seed)) == (
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )


def test_generated_key_has_the_wanted_length():
    assert RSA_KEY.key_size == 2048
    assert dkim.generate_key(1024).key_size == 1024


def test_pem_of_another_kind_is_refused():
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    with pytest.raises(dkim.BadSigner, match="RSA and Ed25519"):
        dkim.from_pem(other)
    with pytest.raises(dkim.BadSigner, match="not a private key"):
        dkim.from_pem(b"hello")
