from datetime import timedelta

import pytest
from django.core import mail

from accounts.models import AuditEntry, Role
from domains import tasks
from domains.checks import running
from domains.models import Domain, RecordCheck
from tests.factories import MembershipFactory
from tests.mailpush.mail.nameserver import SILENCE

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _mails_stay_here(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def check(django_capture_on_commit_callbacks):
    def check(domain, *, now, by=None):
        with django_capture_on_commit_callbacks(execute=True):
            running.run([running.claim(domain, now=now)], now=now, by=by)
        domain.refresh_from_db()

    return check


def outcomes(domain):
    return {row.kind: (row.outcome, row.reason) for row in domain.checks.all()}


def test_domain_with_all_required_records_is_verified_and_its_owners_are_told(make_domain, publish, check, now):
    domain = make_domain()
    publish(domain)
    owner = MembershipFactory(account=domain.account)
    admin = MembershipFactory(account=domain.account, role=Role.ADMIN, user__language="zh-hans")
    MembershipFactory(account=domain.account, role=Role.DEVELOPER)

    check(domain, now=now)

    assert (domain.status, domain.verified_at, domain.checked_at) == (Domain.Status.VERIFIED, now, now)
    assert domain.checking_until is None
    assert outcomes(domain) == {
        "ownership": ("passed", "passed"),
        "spf": ("passed", "passed"),
        "mx": ("passed", "passed"),
        "dkim": ("missing", "no_record"),
        "dmarc": ("missing", "no_record"),
        "tracking": ("missing", "no_record"),
    }
    assert [message.to for message in mail.outbox] == [[owner.user.email], [admin.user.email]]
    assert AuditEntry.objects.get().action == "domain.verified"


def test_one_missing_record_keeps_a_domain_unverified(make_domain, publish, world, check, now):
    domain = make_domain()
    publish(domain)
    world.zones[domain.name]["MX"] = ["10 mxbiz1.qq.com."]

    check(domain, now=now)

    assert domain.status == Domain.Status.UNVERIFIED
    assert domain.next_check_at == now + timedelta(minutes=1)
    assert outcomes(domain)["mx"] == ("wrong", "other_host")
    assert domain.checks.get(kind="mx").found == ["10 mxbiz1.qq.com"]
    assert mail.outbox == []


def test_recommended_records_are_checked_too(make_domain, publish, world, check, now, settings):
    domain = make_domain()
    publish(domain)
    key = domain.key_in_use
    world.zones[key.host] = {"TXT": [" ".join(f'"{key.public_record[at : at + 200]}"' for at in range(0, 600, 200))]}
    world.zones["_dmarc.example.com"] = {"TXT": ['"v=DMARC1; p=reject"']}
    world.zones[domain.tracking_host] = {"CNAME": [f"{settings.PUBLIC_HOST}."]}

    check(domain, now=now)

    assert {outcome for outcome, _reason in outcomes(domain).values()} == {"passed"}


def test_silent_name_server_changes_neither_status_nor_what_was_found(make_domain, publish, world, check, now):
    domain = make_domain()
    publish(domain)
    check(domain, now=now)
    found = domain.checks.get(kind="spf").found
    world.faults[domain.name] = "SERVFAIL"
    mail.outbox.clear()

    check(domain, now=now + HOUR)

    assert (domain.status, domain.failing_since, domain.failures) == (Domain.Status.VERIFIED, None, 0)
    assert outcomes(domain)["spf"] == ("no_answer", "no_answer")
    assert domain.checks.get(kind="spf").found == found
    assert mail.outbox == []


def test_name_server_that_is_too_slow_counts_as_silent(make_domain, publish, world, check, now, monkeypatch):
    domain = make_domain()
    publish(domain)
    world.faults[domain.name] = SILENCE
    monkeypatch.setattr(running, "LONGEST_CHECK", 0.1)

    check(domain, now=now)

    assert outcomes(domain)["spf"] == ("no_answer", "no_answer")
    assert outcomes(domain)["mx"] == ("no_answer", "no_answer")


def test_lost_record_warns_suspends_and_its_return_resumes(make_domain, publish, world, check, now):
    domain = make_domain()
    MembershipFactory(account=domain.account)
    publish(domain)
    check(domain, now=now)
    del world.zones[domain.ownership_host]
    mail.outbox.clear()

    at, states = now, []
    while domain.status != Domain.Status.SUSPENDED:
        at = domain.next_check_at
        check(domain, now=at)
        states.append(domain.status)
    lost_for = at - domain.failing_since
    publish(domain)
    check(domain, now=domain.next_check_at)

    assert timedelta(hours=72) <= lost_for <= timedelta(hours=75)
    assert domain.status == Domain.Status.VERIFIED
    assert [message.subject for message in mail.outbox] == [
        "DNS records of mail.example.com are no longer right",
        "Last warning: sending from mail.example.com will stop in a day",
        "Sending from mail.example.com has stopped",
        "DNS records of mail.example.com are right again",
    ]
    assert f"http://localhost:8000/console/domains/{domain.pk}/" in mail.outbox[0].body
    assert "- Ownership: Missing: there is no such record." in mail.outbox[0].body


def test_second_account_that_proves_a_domain_learns_that_it_is_taken(make_domain, publish, world, check, now):
    first, second = make_domain(), make_domain()
    publish(first)
    world.zones[first.ownership_host]["TXT"].append(f'"{second.ownership_token}"')
    check(first, now=now)

    check(second, now=now)

    assert first.status == Domain.Status.VERIFIED
    assert second.status == Domain.Status.UNVERIFIED
    assert outcomes(second)["ownership"] == ("wrong", "proved_by_another")


def test_domain_is_taken_by_one_check_at_a_time(make_domain, now):
    domain = make_domain()

    first = running.claim(domain, now=now)

    assert first is not None
    assert running.claim(domain, now=now) is None
    assert running.claim_due(now=now, limit=9) == []
    assert running.claim(domain, now=now + running.CLAIM_LASTS) is not None


def test_results_of_a_check_that_was_overtaken_count_for_nothing(make_domain, publish, now):
    domain = make_domain()
    publish(domain)
    slow = running.claim(domain, now=now)
    Domain.objects.filter(pk=domain.pk).update(deleted_at=now)

    running.run([slow], now=now)

    domain.refresh_from_db()
    assert domain.status == Domain.Status.UNVERIFIED
    assert not RecordCheck.objects.exists()


def test_due_domains_are_claimed_oldest_first_up_to_the_limit(make_domain, now):
    late = make_domain("late.example.com", next_check_at=now - HOUR)
    later = make_domain("later.example.com", next_check_at=now - 2 * HOUR)
    make_domain("future.example.com", next_check_at=now + HOUR)
    make_domain("stopped.example.com", next_check_at=None)
    make_domain("deleted.example.com", next_check_at=now, deleted_at=now)

    assert [domain.pk for domain in running.claim_due(now=now, limit=1)] == [later.pk]
    assert [domain.pk for domain in running.claim_due(now=now, limit=9)] == [late.pk]


def test_beat_checks_what_is_due(make_domain, publish, world):
    domains = [make_domain(f"mail{number}.example.com") for number in range(3)]
    for domain in domains:
        publish(domain)

    tasks.check_due_domains()

    assert set(Domain.objects.values_list("status", flat=True)) == {Domain.Status.VERIFIED}


def test_task_checks_one_domain_due_or_not(make_domain, publish, world):
    domain = make_domain(next_check_at=None)
    publish(domain)

    tasks.check_domain(domain.pk)
    tasks.check_domain(domain.pk + 1)

    domain.refresh_from_db()
    assert domain.status == Domain.Status.VERIFIED
