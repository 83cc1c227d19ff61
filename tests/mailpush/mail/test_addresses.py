import email_validator
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpush.mail import addresses
from mailpush.mail.addresses import Address, BadAddress, BadDomain, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kim@shop.example", Address("kim", "shop.example")),
        ("Kim.Lee+news@SHOP.Example", Address("Kim.Lee+news", "shop.example")),
        ("  kim@shop.example\r\n", Address("kim", "shop.example")),
        ("Postmaster@shop.example", Address("Postmaster", "shop.example")),
        ("kim@trial.test", Address("kim", "trial.test")),
        ("kim@商店.cn", Address("kim", "xn--czrs0t.cn")),
        ("kim@xn--bcher-kva.example", Address("kim", "xn--bcher-kva.example")),
        ("kim@BÜCHER.example", Address("kim", "xn--bcher-kva.example")),
        ("用户@shop.example", Address("用户", "shop.example")),
        ("e\u0301@shop.example", Address("\u00e9", "shop.example")),
        ("kim@q.xn--p1ai", Address("kim", "q.xn--p1ai")),
    ],
)
def test_address_is_read(text, address):
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kim",
        "@shop.example",
        "kim@",
        "kim@shop",
        "kim@test",
        "kim@localhost",
        "kim@printer.local",
        "kim@x.invalid",
        "kim@-shop.example",
        "kim@shop-.example",
        "kim@ab--c.example",
        "kim@xn--a.example",
        "kim@shop..example",
        "kim@shop.example.",
        "kim@10.0.0.1",
        "kim@[10.0.0.1]",
        "kim@shop.c0",
        ".kim@shop.example",
        "kim.@shop.example",
        "k..m@shop.example",
        '"kim lee"@shop.example',
        "Kim <kim@shop.example>",
        "kim@shop.example, lee@shop.example",
        "kim @shop.example",
        "kim@shop.example\r\nBcc: lee@shop.example",
        "kim\x00@shop.example",
        "kim\ud800@shop.example",
        f"{'k' * 65}@shop.example",
        f"kim@{'s' * 64}.example",
        f"kim@{'abc.' * 70}example",
        "k" * 1_000_000,
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text):
    with pytest.raises(BadAddress) as refusal:
        parse(text)

    assert str(refusal.value).endswith(".")


def test_one_mailbox_has_one_key():
    assert parse("Kim@Shop.example").key == parse("kim@shop.EXAMPLE").key == "kim@shop.example"


def test_only_a_local_part_outside_ascii_needs_smtputf8():
    assert parse("用户@shop.example").needs_smtputf8
    assert not parse("kim@商店.cn").needs_smtputf8


def test_address_is_written_with_one_at_sign():
    assert str(parse("Kim@Shop.example")) == "Kim@shop.example"


labels = st.text("abXY09-_.x", min_size=0, max_size=14)
likely = st.builds(
    "{}@{}.{}".format,
    st.text("abZ09.+-_!#'/~ \"é", max_size=66),
    labels,
    st.sampled_from(["com", "Example", "test", "local", "Arpa", "c0m", "c", "co-m", "xn--p1ai", "ab--cd", ""]),
)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(likely, st.text("ab@.-+X1", max_size=20), st.text(max_size=20)))
def test_fast_path_agrees_with_the_library(text):
    try:
        found = email_validator.validate_email(
            text.strip(), check_deliverability=False, strict=True, test_environment=True
        )
        wanted = found.ascii_domain if "." in found.ascii_domain else None
    except email_validator.EmailNotValidError:
        wanted = None

    try:
        domain = parse(text).domain
    except BadAddress:
        domain = None

    assert domain == wanted


@pytest.mark.parametrize(
    ("name", "ascii_name", "shown"),
    [
        ("Shop.Example.", "shop.example", "shop.example"),
        (" shop.example ", "shop.example", "shop.example"),
        ("Bücher.example", "xn--bcher-kva.example", "bücher.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"),
        ("mail。shop.example", "mail.shop.example", "mail.shop.example"),
    ],
)
def test_domain_has_one_form_for_dns_and_one_for_people(name, ascii_name, shown):
    assert addresses.to_ascii_domain(name) == ascii_name
    assert addresses.display_domain(ascii_name) == shown


@pytest.mark.parametrize(
    "name",
    ["", ".", "shop", "test", "localhost", "a b.example", "a_b.example", "-a.example", "x" * 64 + ".com", "a/b.com"],
)
def test_what_is_no_domain_is_refused(name):
    with pytest.raises(BadDomain):
        addresses.to_ascii_domain(name)


def test_domain_that_cannot_be_decoded_is_shown_as_it_is():
    assert addresses.display_domain("xn--a.example") == "xn--a.example"


@pytest.mark.parametrize("name", ["com", "co.uk", "com.cn", "CO.UK", "test", "xn--55qx5d.cn"])
def test_public_suffix(name):
    assert addresses.is_public_suffix(name)


@pytest.mark.parametrize("name", ["shop.com", "shop.co.uk", "github.io", "shop.test"])
def test_owned_name_is_no_public_suffix(name):
    assert not addresses.is_public_suffix(name)


@pytest.mark.parametrize(
    ("name", "registrable"),
    [
        ("mail.shop.co.uk", "shop.co.uk"),
        ("MAIL.shop.com.", "shop.com"),
        ("a.b.shop.test", "shop.test"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("a.b.github.io", "github.io"),
    ],
)
def test_registrable_domain(name, registrable):
    assert addresses.registrable_domain(name) == registrable


def test_names_under_a_private_suffix_have_owners_of_their_own():
    assert addresses.registrable_domain("a.b.github.io", private=True) == "b.github.io"
