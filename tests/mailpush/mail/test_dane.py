import hashlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdata import from_text
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.dane import NotVouchedFor, Tlsa, check, usable
from tests.mailpush.mail.certificates import Authority

ROOT = Authority("Root")
MIDDLE = Authority("Middle", under=ROOT)
OTHER = Authority("Other")
SERVER = MIDDLE.issue("mx.test")
NAMES = ("mx.test", "shop.test")


def tlsa(usage, selector, matching, certificate):
    octets = (
        certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if selector
        else certificate.public_bytes(Encoding.DER)
    )
    digest = {0: bytes.hex, 1: lambda o: hashlib.sha256(o).hexdigest(), 2: lambda o: hashlib.sha512(o).hexdigest()}
    return Tlsa(usage, selector, matching, digest[matching](octets))


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize(
    ("usage", "published"), [(3, SERVER.chain[0]), (2, MIDDLE.certificate)], ids=["own", "authority"]
)
def test_certificate_that_is_published_is_taken(usage, published, selector, matching):
    check(SERVER.ders, [tlsa(3, 1, 1, OTHER.certificate), tlsa(usage, selector, matching, published)], NAMES)


@pytest.mark.parametrize(
    "records",
    [
        [tlsa(3, 1, 1, OTHER.certificate)],
        [tlsa(3, 0, 2, MIDDLE.certificate)],  # that is an authority, not the server
        [tlsa(2, 1, 1, OTHER.certificate)],
        [tlsa(2, 0, 0, OTHER.certificate)],
        [tlsa(2, 1, 1, ROOT.certificate)],  # not shown, so a digest of it proves nothing
    ],
)
def test_certificate_that_is_not_published_is_refused(records):
    with pytest.raises(NotVouchedFor):
        check(SERVER.ders, records, NAMES)


def test_authority_in_full_need_not_be_shown():
    check(SERVER.ders, [tlsa(2, 0, 0, ROOT.certificate)], NAMES)


def test_authority_that_is_shown_must_have_signed():
    chain = [*OTHER.issue("mx.test").ders, *SERVER.ders[1:]]

    with pytest.raises(NotVouchedFor, match="not in order"):
        check(chain, [tlsa(2, 1, 1, MIDDLE.certificate)], NAMES)


def test_server_cannot_be_an_authority():
    chain = [MIDDLE.issue("mx.test").ders[0], *SERVER.ders]
    forged = [tlsa(2, 1, 1, SERVER.chain[0])]

    with pytest.raises(NotVouchedFor):
        check(chain, forged, NAMES)


@pytest.mark.parametrize(("name", "is_right"), [("mx.test", True), ("shop.test", True), ("evil.test", False)])
def test_name_counts_under_an_authority(name, is_right):
    chain, records = MIDDLE.issue(name).ders, [tlsa(2, 0, 1, MIDDLE.certificate)]
    if is_right:
        check(chain, records, NAMES)
    else:
        with pytest.raises(NotVouchedFor, match="not in order"):
            check(chain, records, NAMES)


def test_name_and_age_of_the_published_certificate_itself_do_not_count():
    old = MIDDLE.issue("evil.test", age=timedelta(days=9))

    check(old.ders, [tlsa(3, 1, 1, old.chain[0])], NAMES)
    with pytest.raises(NotVouchedFor):
        check(old.ders, [tlsa(2, 1, 1, MIDDLE.certificate)], ("evil.test",))


@pytest.mark.parametrize("chain", [[], [b""], [b"no certificate"]])
def test_what_is_no_certificate_is_refused(chain):
    with pytest.raises(NotVouchedFor, match="cannot be read"):
        check(chain, [tlsa(3, 1, 1, OTHER.certificate)], NAMES)


@pytest.mark.parametrize(
    ("text", "is_usable"),
    [
        ("3 1 1 " + "ab" * 32, True),
        ("3 0 2 " + "AB" * 64, True),
        ("2 0 0 abcd", True),
        ("0 1 1 " + "ab" * 32, False),  # PKIX-TA: not for mail
        ("1 1 1 " + "ab" * 32, False),  # PKIX-EE
        ("3 2 1 " + "ab" * 32, False),
        ("3 1 3 " + "ab" * 32, False),
        ("255 255 255 00", False),
        ("3 0 0 " + "ab" * 9000, False),
    ],
)
def test_usable_records(text, is_usable):
    usage, selector, matching, value = text.split()
    expected = (Tlsa(int(usage), int(selector), int(matching), value.lower()),) if is_usable else ()

    assert usable([from_text("IN", "TLSA", text)]) == expected


def test_number_of_records_is_bounded():
    records = [from_text("IN", "TLSA", f"3 1 1 {n:064x}") for n in range(100)]

    assert len(usable(records)) == 20


@given(st.lists(st.binary(max_size=200), max_size=3), st.integers(2, 3), st.integers(0, 2), st.binary(max_size=70))
def test_no_chain_makes_it_stumble(chain, usage, matching, value):
    with pytest.raises(NotVouchedFor):
        check(chain, [Tlsa(usage, 0, matching, value.hex())], NAMES)
