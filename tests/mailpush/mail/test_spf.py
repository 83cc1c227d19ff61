import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail import spf
from mailpush.mail.records import Outcome
from tests.mailpush.mail.nameserver import SILENCE, TRUNCATION, NameServer, serving

OURS = "spf1.mailpush.test"
ZONES = {
    OURS: {"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']},
    "other.test": {"TXT": ['"v=spf1 ip4:192.0.2.2 ?all"']},
    "nested.test": {"TXT": [f'"v=spf1 include:{OURS} ~all"']},
    "closed.test": {"TXT": [f'"v=spf1 -all include:{OURS}"']},
    "silent.test": {"TXT": ['"hello"']},
    "heavy.test": {"TXT": ['"v=spf1 ' + "a:x.test " * 9 + '-all"']},
    "heavier.test": {"TXT": ['"v=spf1 include:heavy.test include:heavy.test -all"']},
    "ring.test": {"TXT": ['"v=spf1 include:ring2.test -all"']},
    "ring2.test": {"TXT": ['"v=spf1 redirect=ring.test"']},
    "twice.test": {"TXT": ['"v=spf1 -all"', '"v=spf1 ?all"']},
    "bad.test": {"TXT": ['"v=spf1 foo:bar -all"']},
    **{f"deep{n}.test": {"TXT": [f'"v=spf1 include:deep{n + 1}.test -all"']} for n in range(200)},
}


async def check(*records, **changes):
    zones = {**ZONES, "shop.test": {"TXT": list(records)}} if records else ZONES
    async with serving(NameServer(zones, **changes)) as resolver:
        return await spf.check("shop.test", OURS, resolver)


@pytest.mark.parametrize(
    ("record", "look_ups"),
    [
        (f'"v=spf1 include:{OURS} -all"', 1),
        (f'"V=SPF1 Include:{OURS.upper()}. ~ALL"', 1),
        (f'"v=spf1  +include:{OURS}  ?all "', 1),
        (f'"v=spf1 include:" "{OURS} -all"', 1),
        (f'"v=spf1 a mx ptr ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:x.test include:{OURS} -all"', 5),
        (f'"v=spf1 a/24 mx:shop.test/24//64 include:{OURS} exp=why.test x=y -all"', 3),
        (f'"v=spf1 redirect={OURS}"', 1),
        ('"v=spf1 include:nested.test -all"', 2),
        ('"v=spf1 mx redirect=nested.test"', 3),
        (f'"v=spf1 {"a:x.test " * 9} include:{OURS} -all"', 10),
        (f'"v=spf1 include:%{{i}}._spf.test include:{OURS} -all"', 2),
        (f'"v=spf1 -include:other.test include:{OURS} -all"', 2),
        (f'"v=spf1 include:{OURS} -all redirect=bad.test a mx"', 1),
    ],
)
async def test_record_that_lets_us_send(record, look_ups):
    result = await check('"google-site-verification=x"', record)

    assert (result.outcome, result.reason, result.look_ups) == (Outcome.PASSED, "passed", look_ups)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (['"v=spf1 -all"'], "not_included"),
        (['"v=spf1 include:other.test -all"'], "not_included"),
        ([f'"v=spf1 include={OURS} -all"'], "not_included"),
        ([f'"v=spf1 include:x.{OURS} -all"'], "broken_include"),
        ([f'"v=spf1 -all include:{OURS}"'], "after_all"),
        ([f'"v=spf1 -all redirect={OURS}"'], "not_included"),
        ([f'"v=spf1 ~include:{OURS} -all"'], "not_a_pass"),
        (['"v=spf1 ?include:nested.test -all"'], "not_included"),
        (['"v=spf1 include:closed.test -all"'], "after_all"),
        ([f'"v=spf1 include:{OURS} -all"', '"v=spf1 mx -all"'], "two_records"),
        ([f'"v=spf1 include:{OURS} include:twice.test -all"'], "two_records"),
        ([f'"v=spf1 include:heavy.test include:{OURS} -all"'], "too_many_lookups"),
        (['"v=spf1 include:heavier.test -all"'], "too_many_lookups"),
        (['"v=spf1 include:deep0.test -all"'], "too_many_lookups"),
        (['"v=spf1 include:ring.test -all"'], "loop"),
        (['"v=spf1 include:shop.test -all"'], "loop"),
        (['"v=spf1 include:silent.test -all"'], "broken_include"),
        (['"v=spf1 include:gone.test -all"'], "broken_include"),
        (['"v=spf1 include:bad.test -all"'], "bad_syntax"),
        ([f'"v=spf1 include:{OURS} -al"'], "bad_syntax"),
        ([f'"v=spf1 include: {OURS} -all"'], "bad_syntax"),
        ([f'"v=spf1 ip4:300.1.1.1 include:{OURS} -all"'], "bad_syntax"),
        ([f'"v=spf1 ip4:2001:db8::1 include:{OURS} -all"'], "bad_syntax"),
    ],
)
async def test_record_that_does_not_let_us_send(records, reason):
    result = await check(*records)

    assert (result.outcome, result.reason) == (Outcome.WRONG, reason)
    assert sorted(result.found) == sorted(record.strip('"') for record in records)
    assert result.detail


async def test_too_long_tree_says_how_long_it_is():
    result = await check(f'"v=spf1 include:heavy.test include:{OURS} -all"')

    assert result.detail == "The SPF record needs 11 DNS look-ups; 10 are allowed."


async def test_endless_tree_is_given_up():
    server = NameServer({**ZONES, "shop.test": {"TXT": ['"v=spf1 include:deep0.test -all"']}})
    async with serving(server) as resolver:
        result = await spf.check("shop.test", OURS, resolver)

    assert "more than 50" in result.detail
    assert len(server.questions) <= 60


@pytest.mark.parametrize("records", [[], ['"hello"'], ['"v=spf10 -all"']])
async def test_domain_without_spf(records):
    result = await check(*records)

    assert (result.outcome, result.reason, result.found) == (Outcome.MISSING, "no_record", [])


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", SILENCE])
@pytest.mark.parametrize("name", ["shop.test", "other.test"])
async def test_name_server_that_does_not_answer_is_no_failure(name, fault):
    result = await check(f'"v=spf1 include:{OURS} include:other.test -all"', faults={name: fault})

    assert (result.outcome, result.reason) == (Outcome.NO_ANSWER, "no_answer")
    assert name in result.detail


@pytest.mark.parametrize("fault", ["SERVFAIL", "NXDOMAIN"])
async def test_our_own_record_is_not_the_owner_s_fault(fault):
    result = await check(f'"v=spf1 include:{OURS} -all"', faults={OURS: fault})

    assert result.outcome == Outcome.PASSED


async def test_long_answer_comes_over_tcp():
    result = await check(f'"v=spf1 include:{OURS} -all"', faults={"shop.test": TRUNCATION})

    assert result.outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        (None, "v=spf1 include:x.test -all"),
        ("", "v=spf1 include:x.test -all"),
        ("hello", "v=spf1 include:x.test -all"),
        ("v=spf1", "v=spf1 include:x.test"),
        ("v=spf1 -all", "v=spf1 include:x.test -all"),
        ("v=spf1 mx a:b.test ~all", "v=spf1 mx a:b.test include:x.test ~all"),
        ("v=spf1 mx redirect=b.test", "v=spf1 mx include:x.test redirect=b.test"),
        ("v=spf1 redirect=b.test mx", "v=spf1 include:x.test redirect=b.test mx"),
        ("v=spf1 ip4:192.0.2.1", "v=spf1 ip4:192.0.2.1 include:x.test"),
        ("v=spf1 include:x.test  mx ?all", "v=spf1 include:x.test mx ?all"),
        ("v=spf1 +Include:X.test. -all", "v=spf1 +Include:X.test. -all"),
        ("v=spf1 ~include:x.test mx -all", "v=spf1 mx include:x.test -all"),
        ("v=spf1 mx -all include:x.test", "v=spf1 mx include:x.test -all"),
    ],
)
def test_merged_record(existing, merged):
    assert spf.merged_record(existing, "x.test") == merged


terms = st.sampled_from(
    ["mx", "a", "ip4:192.0.2.1", "~include:x.test", "include:x.test", "include:y.test", "-all", "exp=e.test"]
)


@given(st.lists(terms, max_size=6))
def test_merged_record_keeps_the_rest_and_needs_no_second_merge(words):
    merged = spf.merged_record(" ".join(["v=spf1", *words]), "x.test")

    rest = [word for word in words if "x.test" not in word]
    assert [word for word in merged.split()[1:] if "x.test" not in word] == rest
    assert spf.merged_record(merged, "x.test") == merged
    assert spf.Term("+", "include", "x.test") in spf.parse("m.test", merged.partition(" -all")[0])
