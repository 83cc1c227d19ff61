import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from domains import signing
from domains.checks import running
from domains.models import DkimKey, Domain
from domains.services import domains
from domains.services.platform import platform_domain
from mailpush.lib.refusals import Refusal
from mailpush.mail import dkim
from tests.factories import AccountFactory, DomainFactory, MembershipFactory, SenderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def by():
    return Actor.member(MembershipFactory())


def test_create_makes_the_domain_with_a_key_and_looks_at_once(world, by, now):
    domain, advice = domains.create("  Mail.Example.COM. ", by=by, now=now)

    assert (domain.account, domain.name, domain.status) == (by.account, "mail.example.com", Domain.Status.UNVERIFIED)
    assert domain.checked_at == now
    assert advice == []
    key = DkimKey.objects.get()
    assert "PRIVATE" not in key.encrypted_private_key
    assert dkim.public_record(dkim.from_pem(key.private_key.encode())) == key.public_record
    assert AuditEntry.objects.get().action == "domain.created"


def test_create_takes_names_in_other_scripts(world, by, now):
    domain, _advice = domains.create("邮件.例子.com", by=by, now=now)

    assert domain.name == "xn--5nq051n.xn--fsqu00a.com"
    assert domain.display_name == "邮件.例子.com"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "not_a_domain"),
        ("example", "not_a_domain"),
        ("http://example.com/", "not_a_domain"),
        ("me@example.com", "not_a_domain"),
        ("exa mple.com", "not_a_domain"),
        ("-example.com", "not_a_domain"),
        ("co.uk", "public_suffix"),
        ("com.cn", "public_suffix"),
    ],
)
def test_create_refuses_what_nobody_can_prove(name, code, by, now):
    with pytest.raises(Refusal) as refused:
        domains.create(name, by=by, now=now)

    assert (refused.value.code, refused.value.field) == (code, "name")
    assert not Domain.objects.exists()


def test_create_refuses_a_domain_twice_or_proved_by_another(by, now, settings):
    settings.PUBLIC_HOST = "push.example.com"
    DomainFactory(account=by.account, name="own.example.com", status=Domain.Status.UNVERIFIED)
    DomainFactory(name="taken.example.com")

    codes = []
    for name in ("own.example.com", "taken.example.com", "push.example.com"):
        with pytest.raises(Refusal) as refused:
            domains.create(name, by=by, now=now)
        codes.append(refused.value.code)

    assert codes == ["domain_exists", "domain_taken", "domain_taken"]


def test_create_takes_a_name_that_another_account_only_waits_for_or_has_deleted(world, by, now):
    DomainFactory(name="mail.example.com", status=Domain.Status.UNVERIFIED)
    DomainFactory(name="mail.example.com", deleted_at=now)

    assert domains.create("mail.example.com", by=by, now=now)[0].account == by.account


def test_create_warns_of_a_main_domain_and_of_mailboxes(world, by, now):
    world.zones["example.com"] = {"MX": ["5 mxbiz1.qq.com.", "10 mxbiz2.qq.com."]}

    _domain, advice = domains.create("example.com", by=by, now=now)

    assert [one.code for one in advice] == ["root_domain", "receives_mail"]
    assert "Tencent Exmail" in advice[1].text


def test_create_names_an_unknown_mail_host(world, by, now):
    world.zones["mail.example.com"] = {"MX": ["5 mx.elsewhere.test."]}

    _domain, advice = domains.create("mail.example.com", by=by, now=now)

    assert "mx.elsewhere.test" in advice[0].text


def test_records_are_what_has_to_be_published(make_domain, settings):
    domain = make_domain("mail.example.co.uk")

    records = domains.records_of(domain)

    assert [
        (record.kind, record.type, record.relative_host, record.value, record.priority, record.is_required)
        for record in records
    ] == [
        ("ownership", "TXT", "mailpush.mail", domain.ownership_token, None, True),
        ("spf", "TXT", "mail", f"v=spf1 include:{settings.MAILPUSH_SPF_INCLUDE} -all", None, True),
        ("mx", "MX", "mail", settings.MAILPUSH_MAIL_HOST, 10, True),
        (
            "dkim",
            "TXT",
            f"{domain.key_in_use.selector}._domainkey.mail",
            domain.key_in_use.public_record,
            None,
            False,
        ),
        ("dmarc", "TXT", "_dmarc.mail", "v=DMARC1; p=none", None, False),
        ("tracking", "CNAME", "track.mail", settings.PUBLIC_HOST, None, False),
    ]
    assert records[0].host == "mailpush.mail.example.co.uk"


def test_main_domain_is_written_as_at_sign(make_domain):
    assert domains.records_of(make_domain("example.com"))[2].relative_host == "@"


def test_existing_spf_record_is_extended_not_replaced(world, by, now, settings):
    world.zones["mail.example.com"] = {"TXT": ['"v=spf1 include:_spf.elsewhere.test ~all"']}
    world.zones["_spf.elsewhere.test"] = {"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}

    domain, _advice = domains.create("mail.example.com", by=by, now=now)

    spf = domains.records_of(domain)[1]
    assert spf.value == f"v=spf1 include:_spf.elsewhere.test include:{settings.MAILPUSH_SPF_INCLUDE} ~all"
    assert (
        spf.result
        == f"The SPF record does not let our servers send. Add include:{settings.MAILPUSH_SPF_INCLUDE} to it."
    )


def test_verify_checks_at_once_and_watches_anew(make_domain, publish, by, now):
    domain = make_domain(account=by.account, next_check_at=None)
    publish(domain)

    verified = domains.verify(domain, by=by, now=now)

    assert (verified.status, verified.watched_since) == (Domain.Status.VERIFIED, now)


def test_verify_says_so_while_a_check_runs(make_domain, by, now):
    domain = make_domain(account=by.account)
    running.claim(domain, now=now)

    with pytest.raises(domains.BeingChecked):
        domains.verify(domain, by=by, now=now)


def test_delete_is_soft_and_waits_for_the_senders(make_domain, by, now):
    domain = make_domain(account=by.account)
    sender = SenderFactory(account=by.account, domain=domain)
    with pytest.raises(domains.DomainInUse):
        domains.delete(domain, by=by, now=now)
    sender.deleted_at = now
    sender.save()

    domains.delete(domain, by=by, now=now)

    assert not Domain.objects.for_account(by.account).exists()
    assert Domain.objects.get().deleted_at == now


def test_held_domain_stays_suspended_until_released(make_domain, publish, by, now):
    domain = make_domain(account=by.account)
    publish(domain)
    domains.verify(domain, by=by, now=now)

    assert domains.hold(domain, by=by)
    assert not domains.hold(domain, by=by)
    held = domains.verify(domain, by=by, now=now)
    assert domains.release(domain, by=by, now=now)

    domain.refresh_from_db()
    assert (held.status, held.is_held) == (Domain.Status.SUSPENDED, True)
    assert (domain.status, domain.is_held) == (Domain.Status.VERIFIED, False)


def test_developers_and_viewers_leave_domains_alone(make_domain, now):
    member = MembershipFactory(role=Role.DEVELOPER)
    domain = make_domain(account=member.account)
    by = Actor.member(member)

    for deed in (
        lambda: domains.create("other.example.com", by=by, now=now),
        lambda: domains.verify(domain, by=by, now=now),
        lambda: domains.delete(domain, by=by, now=now),
    ):
        with pytest.raises(NotAllowed):
            deed()


def test_active_key_is_read_once_a_minute(make_domain, django_assert_num_queries):
    domain = make_domain()
    signing._key.cache_clear()

    with django_assert_num_queries(1):
        selector, pem = signing.active_key(domain)
        signing.active_key(domain)

    assert selector == domain.key_in_use.selector
    assert dkim.public_record(dkim.from_pem(pem)) == domain.key_in_use.public_record


def test_platform_domain_is_made_once_and_follows_the_public_host(now, settings):
    settings.PUBLIC_HOST = "one.example.com"
    one = platform_domain(now=now)
    again = platform_domain(now=now)
    settings.PUBLIC_HOST = "two.example.com"
    two = platform_domain(now=now)

    assert one == again
    assert one.may_send
    assert one.dkim_keys.count() == 1
    assert (two.name, two.account) == ("two.example.com", one.account)
    assert one.account.is_platform
    assert running.claim_due(now=now, limit=9) == []


def test_strangers_domain_is_not_listed(make_domain):
    make_domain(account=AccountFactory())

    assert not Domain.objects.for_account(AccountFactory()).exists()
