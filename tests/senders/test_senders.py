import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.db import connection

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from domains.models import DkimKey, Domain, RecordCheck
from mailpush.lib.refusals import Refusal
from senders.models import Sender, Stream
from senders.services import platform, senders
from tests.factories import DomainFactory, MembershipFactory, SenderFactory

pytestmark = pytest.mark.django_db

PASSWORD = "abcDEF1234"


@pytest.fixture
def domain(actor):
    return DomainFactory(account=actor.account, name="mail.example.com")


@pytest.fixture
def create(actor, domain, now):
    def create(account_part="news", **options):
        options = {"domain_id": domain.pk, "stream": Stream.BATCH, "by": actor, "now": now, **options}
        return senders.create(account_part, **options)

    return create


def test_create(create, actor, domain, now):
    sender = create(" News ", stream=Stream.TRIGGER)

    sender = Sender.objects.get(pk=sender.pk)
    assert (sender.account, sender.domain, sender.address) == (actor.account, domain, "news@mail.example.com")
    assert (sender.stream, sender.created_at, sender.is_usable) == (Stream.TRIGGER, now, True)
    assert AuditEntry.objects.get().action == "sender.created"


@pytest.mark.parametrize("local", ["a", "news.letter", "n" * 64, "a_b-c+d", "o'brien"])
def test_account_part_may_be_a_dot_string(create, local):
    assert create(local).address == f"{local}@mail.example.com"


@pytest.mark.parametrize(
    "local", ["", ".a", "a.", "a..b", "a b", '"a b"', "a@b", "ä", "新闻", "n" * 65, "a\r\nBcc:x", "<a>", "a,b"]
)
def test_account_part_must_be_a_dot_string(create, local):
    with pytest.raises(senders.BadLocalPart) as refused:
        create(local)

    assert refused.value.field == "account_part"


def test_unverified_domain_is_refused_with_what_is_missing(create, domain, now):
    Domain.objects.update(status=Domain.Status.UNVERIFIED)
    for kind, outcome in (("ownership", "passed"), ("spf", "wrong"), ("mx", "missing")):
        RecordCheck.objects.create(domain=domain, kind=kind, outcome=outcome, checked_at=now)

    with pytest.raises(senders.DomainNotVerified, match="SPF and MX record"):
        create()


def test_suspended_domain_is_refused(create):
    Domain.objects.update(status=Domain.Status.SUSPENDED)

    with pytest.raises(senders.DomainNotVerified, match="suspended"):
        create()


def test_strangers_or_deleted_domain_is_unknown(create, actor, now):
    for domain in (DomainFactory(), DomainFactory(account=actor.account, deleted_at=now)):
        with pytest.raises(senders.DomainNotFound):
            create(domain_id=domain.pk)


def test_address_exists_once_in_an_account_whatever_its_case(create, now, actor):
    sender = create("news")
    with pytest.raises(senders.AddressExists):
        create("NEWS")

    senders.delete(sender, by=actor, now=now)

    assert create("news").pk != sender.pk


def test_type_is_one_of_two(create):
    with pytest.raises(senders.UnknownStream):
        create(stream="bulk")


def test_create_mails_a_link_to_the_reply_address(create, links):
    sender = create(reply_to="Help@Example.ORG")

    assert (sender.reply_to, sender.usable_reply_to) == ("Help@example.org", "")
    assert [message.to for message in mail.outbox] == [["Help@example.org"]]
    assert len(links()) == 1


def test_refused_reply_address_leaves_no_sender(create):
    with pytest.raises(Refusal):
        create(reply_to="nobody")

    assert not Sender.objects.exists()


def test_delete_keeps_the_row_but_not_the_password(create, actor, now):
    sender = create()
    senders.set_smtp_password(sender, PASSWORD, by=actor)

    senders.delete(sender, by=actor, now=now)

    sender.refresh_from_db()
    assert (sender.deleted_at, sender.has_smtp, sender.is_usable) == (now, False, False)
    assert not Sender.objects.for_account(actor.account).exists()


def test_frozen_sender_is_not_usable(create, actor):
    sender = create()

    assert [senders.freeze(sender, by=actor), senders.freeze(sender, by=actor)] == [True, False]
    sender.refresh_from_db()
    assert not sender.is_usable
    assert [senders.unfreeze(sender, by=actor), senders.unfreeze(sender, by=actor)] == [True, False]


def test_smtp_password_opens_smtp_and_is_not_readable(create, actor):
    sender = create()
    assert not senders.check_smtp_password(sender, "")

    senders.set_smtp_password(sender, PASSWORD, by=actor)

    sender.refresh_from_db()
    assert senders.check_smtp_password(sender, PASSWORD)
    assert not senders.check_smtp_password(sender, PASSWORD + "x")
    assert PASSWORD not in sender.smtp_password_hash
    assert PASSWORD not in str(list(AuditEntry.objects.values()))


def test_weak_smtp_password_is_refused_with_every_reason(create, actor):
    with pytest.raises(senders.WeakPassword) as refused:
        senders.set_smtp_password(create(), "aaaaaaaaaa", by=actor)

    assert refused.value.message == "It needs at least two digits. It needs at least two upper-case letters."


def test_smtp_password_must_change(create, actor):
    sender = create()
    senders.set_smtp_password(sender, PASSWORD, by=actor)

    with pytest.raises(senders.SamePassword):
        senders.set_smtp_password(sender, PASSWORD, by=actor)


def test_generated_password_works_until_smtp_is_closed(create, actor):
    sender = create()

    password = senders.generate_smtp_password(sender, by=actor)
    sender.refresh_from_db()
    worked = senders.check_smtp_password(sender, password)
    senders.clear_smtp_password(sender, by=actor)
    sender.refresh_from_db()

    assert worked
    assert not senders.check_smtp_password(sender, password)


def test_password_under_a_lost_key_opens_nothing(create, actor):
    sender = create()
    sender.smtp_password_hash = "gAAAAABlost"

    assert not senders.check_smtp_password(sender, PASSWORD)


def test_viewers_change_nothing(now):
    by = Actor.member(MembershipFactory(role=Role.VIEWER))
    sender = SenderFactory(account=by.account)

    for deed in (
        lambda: senders.create("a", domain_id=sender.domain_id, stream=Stream.BATCH, by=by, now=now),
        lambda: senders.set_smtp_password(sender, PASSWORD, by=by),
        lambda: senders.clear_smtp_password(sender, by=by),
        lambda: senders.delete(sender, by=by, now=now),
    ):
        with pytest.raises(NotAllowed):
            deed()


def test_platform_sender_is_made_once_and_follows_the_public_host(settings, django_assert_num_queries):
    settings.PUBLIC_HOST = "one.example.com"
    one = platform.platform_sender()
    with django_assert_num_queries(1):
        again = platform.platform_sender()
        assert again.is_usable
    settings.PUBLIC_HOST = "two.example.com"
    two = platform.platform_sender()

    assert one == again
    assert (one.address, one.stream) == ("no-reply@one.example.com", Stream.TRIGGER)
    assert two.address == "no-reply@two.example.com"
    assert two.account == one.account


@pytest.mark.django_db(transaction=True)
def test_processes_that_ask_at_once_get_one_platform_sender(settings):
    settings.PUBLIC_HOST = "push.example.com"
    together = threading.Barrier(4)

    def ask(_number):
        together.wait()
        try:
            return platform.platform_sender().pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(ask, range(4)))

    assert made == {Sender.objects.get().pk}
    assert DkimKey.objects.count() == 1
