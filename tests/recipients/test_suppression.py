import io
from datetime import timedelta

import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from mailpush.mail.addresses import BadAddress
from recipients import suppression
from recipients.models import Suppression
from recipients.services import suppressions

pytestmark = pytest.mark.django_db

BOUNCED = Suppression.Reason.BOUNCED
DOMAIN, SENDER = Suppression.Scope.DOMAIN, Suppression.Scope.SENDER


def test_suppressing_twice_keeps_the_first_reason(account, now):
    assert suppression.suppress("Gone@X.com", account=account, reason=BOUNCED, evidence="5.1.1 unknown", now=now)
    assert not suppression.suppress(
        "gone@x.com", account=account, reason=Suppression.Reason.COMPLAINED, source="fbl", now=now
    )

    row = Suppression.objects.get()
    assert (row.address, row.reason, row.evidence) == ("gone@x.com", BOUNCED, "5.1.1 unknown")


def test_what_is_no_address_is_not_suppressed(account, now):
    with pytest.raises(BadAddress):
        suppression.suppress("nobody", account=account, reason=BOUNCED, now=now)


def test_suppression_binds_its_account_alone_and_the_platforms_binds_all(account, stranger, now):
    suppression.suppress("own@x.com", account=account, reason=BOUNCED, now=now)
    suppression.suppress("all@x.com", account=None, reason=BOUNCED, now=now)
    asked = ["own@x.com", "all@x.com", "free@x.com"]

    assert suppression.suppressed_addresses(account.pk, asked) == {"own@x.com", "all@x.com"}
    assert suppression.suppressed_addresses(stranger.account.pk, asked) == {"all@x.com"}
    assert suppression.is_suppressed("OWN@x.com", account_id=account.pk)
    assert not suppression.is_suppressed("own@x.com", account_id=stranger.account.pk)


def test_scopes_reach_as_far_as_they_say(account, now):
    for scope, value in ((DOMAIN, "News.example"), (SENDER, "shop@Example.com")):
        suppression.suppress(
            f"{scope}@x.com",
            account=account,
            reason=Suppression.Reason.UNSUBSCRIBED,
            scope=scope,
            scope_value=value,
            now=now,
        )
    asked = ["domain@x.com", "sender@x.com"]

    assert suppression.suppressed_addresses(account.pk, asked) == set()
    assert suppression.suppressed_addresses(account.pk, asked, domain="NEWS.example") == {"domain@x.com"}
    assert suppression.suppressed_addresses(account.pk, asked, sender="SHOP@example.com") == {"sender@x.com"}
    assert suppression.suppressed_addresses(account.pk, asked, domain="other.example", sender="x@y.com") == set()


def test_released_addresses_get_mail_again(account, now):
    for scope, value in ((Suppression.Scope.ACCOUNT, ""), (DOMAIN, "a.example")):
        suppression.suppress("u@x.com", account=account, reason=BOUNCED, scope=scope, scope_value=value, now=now)

    assert suppression.release("U@x.com", account=account, scope=DOMAIN, scope_value="A.example") == 1
    assert suppression.is_suppressed("u@x.com", account_id=account.pk)
    assert suppression.release("u@x.com", account=account) == 1
    assert suppression.release("u@x.com", account=account) == 0


def test_many_are_written_at_once_and_known_ones_stay(account, now):
    suppression.suppress("u1@x.com", account=account, reason=Suppression.Reason.MANUAL, now=now)
    suppression.suppress_all(Suppression(account=account, address=f"u{n}@x.com", reason=BOUNCED) for n in range(3))

    assert Suppression.objects.count() == 3
    assert Suppression.objects.get(address="u1@x.com").reason == Suppression.Reason.MANUAL


def test_people_add_addresses_by_hand(actor, now):
    assert suppressions.add(addresses=["A@x.com", "a@X.com", "b@x.com"], note="asked", by=actor, now=now) == 2
    assert suppressions.add(addresses=["b@x.com", "c@x.com"], note="", by=actor, now=now) == 1

    row = Suppression.objects.get(address="a@x.com")
    assert (row.reason, row.source, row.evidence) == (Suppression.Reason.MANUAL, actor.name, "asked")


@pytest.mark.parametrize("addresses", [[], ["a@x.com", "nobody"], [f"u{n}@x.com" for n in range(1001)]])
def test_wrong_additions_add_nothing(actor, now, addresses):
    with pytest.raises(suppressions.BadAddresses):
        suppressions.add(addresses=addresses, note="", by=actor, now=now)

    assert not Suppression.objects.exists()


def test_removal_needs_a_reason_and_keeps_it(actor, now):
    suppressions.add(addresses=["a@x.com"], note="", by=actor, now=now)
    row = Suppression.objects.get()
    with pytest.raises(suppressions.NoteMissing):
        suppressions.remove(row, note="  ", by=actor)

    suppressions.remove(row, note="asked by phone", by=actor)

    assert not Suppression.objects.exists()
    entry = AuditEntry.objects.get(action="suppression.removed")
    assert (entry.target, entry.details["note"]) == ("a@x.com", "asked by phone")


def test_strangers_and_viewers_remove_nothing(actor, stranger, member, now):
    suppressions.add(addresses=["a@x.com"], note="", by=actor, now=now)
    suppression.suppress("all@x.com", account=None, reason=BOUNCED, now=now)
    row, platforms = Suppression.objects.order_by("id")

    with pytest.raises(Suppression.DoesNotExist):
        suppressions.remove(row, note="x", by=stranger)
    with pytest.raises(Suppression.DoesNotExist):
        suppressions.remove(platforms, note="x", by=actor)
    with pytest.raises(NotAllowed):
        suppressions.remove(row, note="x", by=Actor.member(member(Role.VIEWER)))


def file_of(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def add_file(text, *, by, now, note="from the old system"):
    return suppressions.add_file(file=file_of(text), name="old.csv", note=note, by=by, now=now)


def test_file_of_addresses_is_added_and_adds_up(actor, stranger, now):
    suppressions.add(addresses=["b@x.com"], note="", by=actor, now=now)
    suppressions.add(addresses=["a@x.com"], note="", by=stranger, now=now)

    result = add_file("A@x.com\nb@x.com\n\na@X.com\nnobody\nc@x.com,Carl\n", by=actor, now=now)

    assert (result.read, result.added, result.known, result.twice, result.invalid) == (5, 2, 1, 1, 1)
    assert [(reject.line, reject.text) for reject in result.rejects] == [(5, "nobody")]
    assert set(Suppression.objects.for_account(actor.account).values_list("address", "evidence")) == {
        ("a@x.com", "from the old system"),
        ("b@x.com", ""),
        ("c@x.com", "from the old system"),
    }
    assert AuditEntry.objects.get(action="suppression.uploaded").details["added"] == 2


def test_file_from_a_spreadsheet_with_a_heading(actor, now):
    result = add_file("姓名,邮箱地址\n张三,San@x.com\n".encode("gb18030"), by=actor, now=now)

    assert result.added == 1
    assert Suppression.objects.get().address == "san@x.com"


@pytest.mark.parametrize("text", ["", b"PK\x03\x04 xl/", "Name,City\nAnna,Rome\n"])
def test_file_that_is_none_adds_nothing(actor, now, text):
    with pytest.raises(suppressions.NotAnAddressFile):
        add_file(text, by=actor, now=now)

    assert not Suppression.objects.exists()


def test_file_too_long_adds_nothing(actor, now, monkeypatch):
    monkeypatch.setattr(suppressions, "MOST_IN_FILE", 3)

    with pytest.raises(suppressions.NotAnAddressFile):
        add_file("a@x.com\nb@x.com\nc@x.com\nd@x.com\n", by=actor, now=now)

    assert not Suppression.objects.exists()


def test_viewers_upload_nothing(member, now):
    with pytest.raises(NotAllowed):
        add_file("a@x.com\n", by=Actor.member(member(Role.VIEWER)), now=now)


def test_removing_an_address_takes_every_scope_of_it(actor, stranger, now):
    for owner in (actor.account, stranger.account):
        suppression.suppress("a@x.com", account=owner, reason=BOUNCED, now=now)
    suppression.suppress(
        "a@x.com", account=actor.account, reason=BOUNCED, scope=DOMAIN, scope_value="d.example", now=now
    )

    assert suppressions.remove_address(address="A@X.com", note="asked", by=actor) == 2
    assert suppressions.remove_address(address="A@X.com", note="asked", by=actor) == 0
    assert [row.account_id for row in Suppression.objects.all()] == [stranger.account.pk]
    assert AuditEntry.objects.filter(action="suppression.removed").count() == 2


def test_search_by_text_reason_and_time(actor, stranger, now):
    for owner, address, reason, day in (
        (actor.account, "anna@x.com", BOUNCED, 0),
        (actor.account, "bob@x.com", Suppression.Reason.COMPLAINED, 1),
        (stranger.account, "anna@y.com", BOUNCED, 0),
    ):
        suppression.suppress(address, account=owner, reason=reason, now=now + timedelta(days=day))

    def found(**asked):
        return sorted(row.address for row in suppressions.search(account=actor.account, **asked))

    assert found() == ["anna@x.com", "bob@x.com"]
    assert found(text=" ANNA") == ["anna@x.com"]
    assert found(reason="complained") == ["bob@x.com"]
    assert found(since=now + timedelta(hours=1)) == ["bob@x.com"]
    assert found(until=now + timedelta(hours=1)) == ["anna@x.com"]
