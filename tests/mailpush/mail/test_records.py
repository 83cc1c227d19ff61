import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailpush.mail import dkim, records
from mailpush.mail.records import CheckResult, Outcome
from tests.mailpush.mail.nameserver import SILENCE, TRUNCATION, NameServer, serving

pytestmark = pytest.mark.asyncio

KEY = dkim.public_record(dkim.generate_key())
OTHER_KEY = dkim.public_record(dkim.generate_key())
P = KEY.partition("p=")[2]


def txt(text):
    """A TXT record as DNS keeps it: strings of at most 255 bytes."""
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


def summary(result):
    assert result.detail.endswith(".")
    return result.outcome, result.reason


async def ask(check, *args, zones=None, **changes):
    async with serving(NameServer(zones or {}, **changes)) as resolver:
        return await check(*args, resolver)


CHECKS = {
    "txt": (records.check_txt, ("x.shop.test", "token-1"), "x.shop.test"),
    "mx": (records.check_mx, ("shop.test", "mx.us.test"), "shop.test"),
    "dkim": (records.check_dkim, ("m1", "shop.test", KEY), "m1._domainkey.shop.test"),
    "dmarc": (records.check_dmarc, ("shop.test",), "_dmarc.shop.test"),
    "cname": (records.check_cname, ("x.shop.test", "track.us.test"), "x.shop.test"),
}
every_check = pytest.mark.parametrize(("check", "args", "name"), CHECKS.values(), ids=CHECKS)


@every_check
@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", SILENCE])
async def test_name_server_that_does_not_answer_is_no_failure(check, args, name, fault):
    result = await ask(check, *args, faults={name: fault})

    assert result == CheckResult(Outcome.NO_ANSWER, "no_answer", f"DNS did not answer for {name}. Try again later.", [])


@every_check
@pytest.mark.parametrize("zones", [{}, {"deeper.NAME": {"A": ["127.0.0.1"]}}, {"NAME": {"A": ["127.0.0.1"]}}])
async def test_record_that_is_not_there_is_missing(check, args, name, zones):
    result = await ask(check, *args, zones={key.replace("NAME", name): value for key, value in zones.items()})

    assert summary(result) == (Outcome.MISSING, "no_record")
    assert name in result.detail


@every_check
async def test_impossible_name_is_missing(check, args, name):
    result = await ask(check, *[arg.replace("shop.test", f"{'x' * 64}.test") for arg in args])

    assert result.outcome == Outcome.MISSING


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (["token-1"], (Outcome.PASSED, "passed")),
        (["other", "token-1"], (Outcome.PASSED, "passed")),
        ([' \\"token-1\\" '], (Outcome.PASSED, "passed")),
        (["token-2"], (Outcome.WRONG, "other_value")),
        (["token-1 and more"], (Outcome.WRONG, "other_value")),
        (["TOKEN-1"], (Outcome.WRONG, "other_value")),
    ],
)
async def test_txt(found, verdict):
    zones = {"x.shop.test": {"TXT": [txt(text) for text in found]}}

    assert summary(await ask(records.check_txt, "x.shop.test", "token-1", zones=zones)) == verdict


async def test_strings_of_one_record_are_joined():
    zones = {"x.shop.test": {"TXT": ['"tok" "en-1"']}}

    result = await ask(records.check_txt, "x.shop.test", "token-1", zones=zones, faults={"x.shop.test": TRUNCATION})

    assert (result.outcome, result.found) == (Outcome.PASSED, ["token-1"])


async def test_name_outside_ascii_is_asked_for_as_a_label():
    zones = {"x.xn--bcher-kva.test": {"TXT": ['"token-1"']}}

    assert (await ask(records.check_txt, "x.Bücher.test", "token-1", zones=zones)).outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (["10 mx.us.test."], (Outcome.PASSED, "passed")),
        (["10 MX.us.test.", "20 old.test."], (Outcome.PASSED, "passed")),
        (["10 old.test."], (Outcome.WRONG, "other_host")),
        (["10 mx.us.test.", "5 old.test."], (Outcome.WRONG, "other_host_first")),
        (["10 mx.us.test.", "10 old.test."], (Outcome.WRONG, "shared_preference")),
        (["0 ."], (Outcome.WRONG, "other_host")),
    ],
)
async def test_mx(found, verdict):
    result = await ask(records.check_mx, "shop.test", "Mx.us.test.", zones={"shop.test": {"MX": found}})

    assert summary(result) == verdict


async def test_mx_says_what_it_found():
    zones = {"shop.test": {"MX": ["10 mx.us.test.", "5 old.test."]}}

    assert (await ask(records.check_mx, "shop.test", "mx.us.test", zones=zones)).found == [
        "5 old.test",
        "10 mx.us.test",
    ]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([KEY], (Outcome.PASSED, "passed")),
        ([f"p={P}"], (Outcome.PASSED, "passed")),
        ([f"v=DKIM1;k=rsa;h=sha1 : sha256; t=y; p={P[:100]} \t{P[100:]};"], (Outcome.PASSED, "passed")),
        (["unrelated", KEY], (Outcome.PASSED, "passed")),
        ([OTHER_KEY], (Outcome.WRONG, "other_key")),
        ([KEY[:-20]], (Outcome.WRONG, "other_key")),
        ([f"v=DKIM1; k=ed25519; p={P}"], (Outcome.WRONG, "other_key")),
        ([KEY, OTHER_KEY], (Outcome.WRONG, "two_records")),
        (["v=DKIM1; p="], (Outcome.WRONG, "revoked")),
        ([f"v=DKIM2; p={P}"], (Outcome.WRONG, "bad_syntax")),
        (["unrelated"], (Outcome.WRONG, "bad_syntax")),
        ([f"v=DKIM1; h=sha1; p={P}"], (Outcome.WRONG, "bad_hash")),
    ],
)
async def test_dkim(found, verdict):
    zones = {"m1._domainkey.shop.test": {"TXT": [txt(text) for text in found]}}

    assert summary(await ask(records.check_dkim, "m1", "shop.test", KEY, zones=zones)) == verdict


async def test_dkim_with_ed25519():
    key = dkim.public_record(Ed25519PrivateKey.generate())
    zones = {"e1._domainkey.shop.test": {"TXT": [txt(key)]}}

    assert (await ask(records.check_dkim, "e1", "shop.test", key, zones=zones)).outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (["v=DMARC1; p=none"], (Outcome.PASSED, "passed")),
        (["v = DMARC1 ; p=Reject; rua=mailto:kim@shop.test"], (Outcome.PASSED, "passed")),
        (["unrelated", "v=DMARC1;p=quarantine;"], (Outcome.PASSED, "passed")),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], (Outcome.WRONG, "two_records")),
        (["v=DMARC1; p=all"], (Outcome.WRONG, "bad_policy")),
        (["v=DMARC1"], (Outcome.WRONG, "bad_policy")),
        (["v=DMARC10; p=none"], (Outcome.MISSING, "no_record")),
        (["p=none; v=DMARC1"], (Outcome.MISSING, "no_record")),
    ],
)
async def test_dmarc(found, verdict):
    zones = {"_dmarc.shop.test": {"TXT": [txt(text) for text in found]}}

    assert summary(await ask(records.check_dmarc, "shop.test", zones=zones)) == verdict


async def test_policy_of_the_registered_domain_covers_those_below():
    zones = {"_dmarc.shop.test": {"TXT": ['"v=DMARC1; p=none"']}}

    assert (await ask(records.check_dmarc, "news.mail.shop.test", zones=zones)).outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("target", "verdict"),
    [("Track.us.test.", (Outcome.PASSED, "passed")), ("old.test.", (Outcome.WRONG, "other_host"))],
)
async def test_cname(target, verdict):
    result = await ask(records.check_cname, "x.shop.test", "track.us.test.", zones={"x.shop.test": {"CNAME": [target]}})

    assert summary(result) == verdict
