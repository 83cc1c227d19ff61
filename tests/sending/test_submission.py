"""The submission door as mail programs meet it: rules at their moment, what is stored, and what is not."""

import asyncio
import base64
import json
import threading
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.models import Account, AllowedAddresses, QuotaUse
from domains.services.domains import add_key
from mailpush.mail.dkim import generate_key
from mailpush.mail.door import Limits
from recipients import suppression
from recipients.models import Suppression
from senders.models import Sender, Stream
from sending import acceptance, bodies
from sending.delivery.composing import ContentComposer
from sending.delivery.parcels import QueuedMessage
from sending.models import Acceptance, Batch, Chunk, Content, Event, Message, Status
from sending.services import submissions
from sending.smtp import logins
from sending.statements import Line
from tests.factories import DomainFactory, RecipientFactory, RecipientListFactory, SenderFactory, TagFactory
from tests.sending.door_kit import OpenDoor, Program, mail_from, password_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    """What the processes share, and what one of them believes for a moment, are new to each test."""
    cache.clear()
    monkeypatch.setattr(submissions, "BELIEVED_FOR", 0)


@pytest.fixture
def door():
    with OpenDoor(Limits(message_size=400_000, recipients=5)) as door:
        yield door


@pytest.fixture
def shop():
    """A sender of triggered mail."""
    return SenderFactory(stream=Stream.TRIGGER, address="shop@mail.example.com", domain__name="mail.example.com")


@pytest.fixture
def program(door, shop):
    with Program(door.port, shop.address, password_for(shop)) as program:
        yield program


def at_door(door, sender):
    return Program(door.port, sender.smtp_user, password_for(sender))


# ── Accepting ──


def test_message_is_stored_once_for_all_its_recipients(program, shop):
    code = program.send(mail_from(shop.address), "ann@north.example", "Bob@South.Example")

    content = Content.objects.get()
    ann, bob = Message.objects.order_by("pk")
    assert (code, program.last[1]) == (250, f"2.0.0 Accepted as {ann.pk}")
    assert {message.content for message in (ann, bob)} == {content}
    assert (ann.recipient, bob.recipient) == ("ann@north.example", "Bob@south.example")
    assert (ann.status, ann.account, ann.batch) == (Status.QUEUED, shop.account, None)
    assert (content.sender, content.stream, content.kind) == (shop, Stream.TRIGGER, Content.Kind.MIME)
    (event,) = Event.objects.all()
    assert (event.n, event.status, event.sender_id, event.account_id) == (2, Status.QUEUED, shop.pk, shop.account_id)
    (chunk,) = Chunk.objects.all()
    assert (chunk.stream, chunk.messages) == ("trigger", [ann.pk, bob.pk])
    assert QuotaUse.objects.get().day_used == 2


def test_what_is_missing_is_added_and_the_rest_stays_as_it_came(program, shop):
    odd = b"From:  shop@mail.example.com\r\nX-Odd:a\r\n\t b  \r\nbcc: eve@west.example\r\n\r\nBody \xff\r\n..dots\r\n"

    program.send(odd, "ann@north.example")

    mime = bodies.load(Content.objects.get())
    header, _, body = mime.partition(b"\r\n\r\n")
    fields = header.split(b"\r\n")
    assert body == b"Body \xff\r\n..dots\r\n"
    assert fields[0].startswith(b"Received: by ")
    assert fields[0].endswith(b" with ESMTPA;")
    assert fields[2:5] == [b"From:  shop@mail.example.com", b"X-Odd:a", b"\t b  "]
    assert [field.partition(b":")[0] for field in fields[5:]] == [b"Date", b"Message-ID"]
    assert b"127.0.0.1" not in header


def test_operator_may_want_the_client_in_the_trace(program, shop, settings):
    settings.MAILPUSH_RECEIVED = "client"

    program.send(mail_from(shop.address), "ann@north.example")

    assert bodies.load(Content.objects.get()).startswith(b"Received: from program.test ([127.0.0.1])\r\n\tby ")


def stored():
    try:
        return set(bodies.default_storage.listdir("messages")[1])
    except FileNotFoundError:
        return set()


def test_large_message_goes_to_storage_and_a_repetition_leaves_nothing_there(program, shop):
    mail = mail_from(shop.address, Message_ID="<large@shop.example>")
    mail.add_attachment(b"x" * 200_000, maintype="application", subtype="octet-stream", filename="x.bin")

    before = stored()

    codes = [program.send(mail, "ann@north.example") for _ in range(2)]

    content = Content.objects.get()
    assert codes == [250, 250]
    assert content.mime is None
    assert len(bodies.load(content)) > bodies.LARGEST_IN_ROW
    assert stored() - before == {content.mime_file.rpartition("/")[2]}
    bodies.default_storage.delete(content.mime_file)


def test_large_message_that_storage_does_not_take_is_to_be_sent_again_later(program, shop, full_storage):
    mail = mail_from(shop.address)
    mail.add_attachment(b"x" * 200_000, maintype="application", subtype="octet-stream", filename="x.bin")

    assert program.send(mail, "ann@north.example") == 451
    assert not Content.objects.exists()


# ── Who may ──


@pytest.mark.parametrize(
    ("sender", "author", "expected"),
    [
        ("SHOP@mail.example.com", "Shop@MAIL.example.com", 250),
        ("other@mail.example.com", "shop@mail.example.com", 553),
        ("", "shop@mail.example.com", 553),
        ("shop@mail.example.com", "other@mail.example.com", 553),
        ("shop@mail.example.com", "shop@mail.example.com, other@mail.example.com", 553),
        ("shop@mail.example.com", "", 553),
    ],
)
def test_both_senders_are_the_login(program, sender, author, expected):
    program.say(f"MAIL FROM:<{sender}>")
    program.say("RCPT TO:<ann@north.example>")
    if program.say("DATA") == 354:
        program._smtp.send(f"From: {author}\r\n\r\nHi\r\n.\r\n".encode())
        program.replies.append(program._smtp.getreply())

    assert expected in program.codes
    assert Message.objects.exists() == (expected == 250)


def test_nothing_goes_without_login(door, shop):
    with Program(door.port, shop.address, "Wrong-12345AB") as program:
        program.say(f"MAIL FROM:<{shop.address}>")

    assert program.codes == [535, 530]


def test_programs_elsewhere_do_not_get_in_where_the_account_is_protected(door, shop):
    Account.objects.update(is_ip_protected=True)
    allowed = AllowedAddresses.objects.create(
        account=shop.account, written="192.0.2.1", first="192.0.2.1", last="192.0.2.1"
    )
    with at_door(door, shop) as program:
        assert program.codes == [535]

    allowed.first = allowed.last = "127.0.0.1"
    allowed.save()
    with at_door(door, shop) as program:
        assert program.codes == [235]


def test_domain_logs_in_and_sends_from_any_of_its_addresses(door, shop):
    everybody = SenderFactory(
        account=shop.account, domain=shop.domain, stream=Stream.TRIGGER, address=f"{Sender.DOMAIN_LOGIN}@{shop.domain}"
    )

    with at_door(door, everybody) as program:
        assert program.user == "mail.example.com"
        own = program.send(mail_from(shop.address), "ann@north.example", sender=shop.address)
        new = program.send(mail_from("new@mail.example.com"), "ann@north.example", sender="new@mail.example.com")
        foreign = program.say("MAIL FROM:<new@example.com>")

    assert (own, new, foreign) == (250, 250, 553)
    assert [message.content.sender for message in Message.objects.order_by("pk")] == [shop, everybody]


@pytest.mark.parametrize("change", ["freeze", "password", "account", "domain", "delete"])
def test_what_ends_a_login_ends_open_connections_too(program, shop, change):
    assert program.send(mail_from(shop.address), "ann@north.example") == 250
    match change:
        case "freeze":
            Sender.objects.update(is_frozen=True)
        case "password":
            password_for(shop)
        case "account":
            Account.objects.update(is_active=False)
        case "domain":
            shop.domain.status = "unverified"
            shop.domain.save()
        case "delete":
            Sender.objects.update(deleted_at=timezone.now(), smtp_password_hash="")

    code = program.send(mail_from(shop.address), "ann@north.example")

    assert code == (421 if change in {"password", "delete"} else 554)
    assert Message.objects.count() == 1


def test_wrong_passwords_lock_login_and_network_in_shared_memory(door, shop, monkeypatch):
    monkeypatch.setattr(logins, "SLOWEST", 0.01)
    password = password_for(shop)
    for _ in range(logins.FAILURES):
        with Program(door.port, "nobody@mail.example.com", "Wrong-12345AB") as program:
            assert program.codes == [535]

    with OpenDoor() as another, Program(another.port, shop.address, password) as program:
        assert program.last[0] == 454

    cache.clear()
    with Program(door.port, shop.address, password) as program:
        assert program.codes == [235]


def test_strangers_do_not_lock_a_login_where_it_has_worked(shop):
    name, home, abroad = shop.address, "192.0.2.1", "198.51.100.7"
    logins._remember(name, home)
    for _ in range(logins.FAILURES):
        logins._count_failure(name, abroad)

    assert not logins._is_locked(name, home)
    assert logins._is_locked(name, "203.0.113.9")
    assert logins._is_locked("other@mail.example.com", abroad)


# ── Recipients ──


def test_each_recipient_is_answered_for_itself(program, shop):
    now = timezone.now()
    for address, account in (("gone@north.example", shop.account), ("never@north.example", None)):
        suppression.suppress(address, account=account, reason=Suppression.Reason.BOUNCED, now=now)
    stranger = SenderFactory().account
    suppression.suppress("ann@north.example", account=stranger, reason=Suppression.Reason.BOUNCED, now=now)

    program.send(
        mail_from(shop.address), "ann@north.example", "Gone@north.example", "never@north.example", "nonsense@north"
    )

    assert program.codes == [235, 250, 250, 550, 550, 553, 354, 250]
    assert [text[:5] for _, text in program.replies[3:6]] == ["5.7.1", "5.1.1", "5.1.3"]
    assert [message.recipient for message in Message.objects.all()] == ["ann@north.example"]


def test_address_suppressed_between_rcpt_and_data_is_not_written_to(program, shop):
    program.say(f"MAIL FROM:<{shop.address}>")
    program.say("RCPT TO:<ann@north.example>")
    suppression.suppress(
        "ann@north.example", account=shop.account, reason=Suppression.Reason.UNSUBSCRIBED, now=timezone.now()
    )
    program.say("DATA")
    program._smtp.send(mail_from(shop.address).as_bytes().replace(b"\n", b"\r\n") + b".\r\n")
    program._smtp.getreply()

    assert Message.objects.get().status == Status.SUPPRESSED
    assert not Chunk.objects.exists()


def test_spent_quota_is_said_at_the_recipient(program, shop):
    Account.objects.update(daily_quota=2)

    program.send(mail_from(shop.address), *(f"r{n}@north.example" for n in range(3)))
    program.send(mail_from(shop.address), "late@north.example")

    assert program.codes == [235, 250, 250, 250, 452, 354, 250, 250, 452, 554]
    assert program.replies[4][1].startswith("4.7.1 Your quota allows 2")
    assert Message.objects.count() == 2


def test_limits_are_those_of_the_installation(program, shop):
    codes = program.send(mail_from(shop.address), *(f"r{n}@north.example" for n in range(6)))
    too_big = program.send(b"From: shop@mail.example.com\r\n\r\n" + b"a\r\n" * 200_000, "ann@north.example")

    assert (codes, program.replies[7]) == (
        250,
        (452, "4.5.3 5 recipients are the most; send the rest in another message"),
    )
    assert too_big == 552
    assert Message.objects.count() == 5


def test_account_may_want_directmail_numbers(door, shop):
    Account.objects.update(directmail_replies=True)
    suppression.suppress("gone@north.example", account=shop.account, reason="bounced", now=timezone.now())

    with at_door(door, shop) as program:
        program.say("MAIL FROM:<other@mail.example.com>")
        program.send(mail_from(shop.address), "gone@north.example", *(f"r{n}@north.example" for n in range(6)))

    assert program.codes == [235, 436, 250, 563, *[250] * 5, 556, 354, 250]
    assert program.replies[1][1].startswith("4.7.1 ")


# ── What the message asks for ──


def test_tag_is_taken_from_our_field_or_directmails_and_stays_here(program, shop):
    tag = TagFactory(account=shop.account, name="codes")
    trace = base64.b64encode(json.dumps({"TagName": "Codes", "OpenTrace": "1"}).encode()).decode()

    for fields in ({"X_Mailpush_Tag": "codes"}, {"X_AliDM_Trace": trace, "X_User_Order": "7"}):
        assert program.send(mail_from(shop.address, **fields), "ann@north.example") == 250

    for content in Content.objects.all():
        assert content.tag == tag
        assert b"X-Mailpush" not in bytes(content.mime)
        assert b"X-AliDM" not in bytes(content.mime)
    assert b"X-User-Order: 7" in bytes(Content.objects.last().mime)
    assert set(Event.objects.values_list("tag_id", flat=True)) == {tag.pk}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"X_Mailpush_Tag": "unknown"}, 554),
        ({"X_AliDM_Trace": "not base64!"}, 504),
        ({"X_AliDM_Settings": base64.b64encode(b'{"Unsubscribe":{"LinkType":"always"}}').decode()}, 504),
        ({"X_AliDM_Settings": base64.b64encode(b'{"Unsubscribe":{"LinkType":"default"}}').decode()}, 250),
    ],
)
def test_wish_that_cannot_be_met_is_refused(program, shop, fields, expected):
    TagFactory(name="unknown")  # somebody else's

    assert program.send(mail_from(shop.address, **fields), "ann@north.example") == expected
    assert Message.objects.exists() == (expected == 250)


@pytest.mark.parametrize("is_tracked", [True, False])
def test_only_the_html_is_another_one_and_only_where_tracking_was_asked_for(program, shop, is_tracked):
    mail = mail_from(shop.address, X_Mailpush_Track="yes" if is_tracked else "no")
    mail.add_alternative('<a href="https://shop.example/{a}">Shop</a>', subtype="html")
    add_key(shop.domain, generate_key(), now=timezone.now())
    assert program.send(mail, "ann@north.example") == 250

    content = Content.objects.select_related("sender__domain").get()
    (letter,) = ContentComposer(content).compose([QueuedMessage.of(Message.objects.get())], now=timezone.now())

    assert content.is_tracked is is_tracked
    assert b"X-Mailpush-Track" not in letter.data
    sent = letter.data.partition(b"\r\n\r\n")[2]
    body = bytes(content.mime).partition(b"\r\n\r\n")[2]
    if not is_tracked:
        assert sent == body
    html = message_from_bytes(letter.data, policy=policy.default).get_body(("html",)).get_content()
    assert html.count("/t/") == (2 if is_tracked else 0)
    begins = body.index(b"<a href")
    assert sent[:begins] == body[:begins]
    assert sent.endswith(body[body.rindex(b"\r\n--") :])


# ── Repetitions ──


@pytest.mark.parametrize("name", ["Message_ID", "X_Mailpush_Idempotency_Key"])
def test_repeated_message_is_answered_with_the_first_id_and_sent_once(program, shop, name):
    mail = mail_from(shop.address, **{name: "<one@shop.example>"})

    program.send(mail, "ann@north.example")
    first = program.last
    program.send(mail, "Ann@north.example")
    repeated = program.last
    program.send(mail, "bob@north.example", "ann@north.example")

    assert repeated == first
    assert [message.recipient for message in Message.objects.order_by("pk")] == [
        "ann@north.example",
        "bob@north.example",
    ]
    assert Content.objects.count() == 2
    assert QuotaUse.objects.get().day_used == 2


def test_same_key_of_others_is_another_message(door, program, shop):
    mail_id = {"Message_ID": "<one@shop.example>"}
    stranger = SenderFactory(stream=Stream.TRIGGER)
    colleague = SenderFactory(account=shop.account, domain=shop.domain, stream=Stream.TRIGGER)

    program.send(mail_from(shop.address, **mail_id), "ann@north.example")
    for other in (stranger, colleague):
        with at_door(door, other) as another:
            another.send(mail_from(other.address, **mail_id), "ann@north.example")

    assert Message.objects.count() == 3


def test_message_repeated_over_two_connections_at_once_is_sent_once(door, shop):
    password = password_for(shop)
    mail = mail_from(shop.address, Message_ID="<one@shop.example>")
    answers = []

    def send(port):
        with Program(port, shop.address, password) as program:
            barrier.wait(10)
            program.send(mail, "ann@north.example")
            answers.append(program.last)

    barrier = threading.Barrier(8)
    with OpenDoor() as another:
        threads = []
        for port in (door.port, another.port) * 4:  # two doors: as two processes, they share the database alone
            threads.append(threading.Thread(target=send, args=(port,)))
            threads[-1].start()
        for thread in threads:
            thread.join(30)

    assert answers == [(250, f"2.0.0 Accepted as {Message.objects.get().pk}")] * 8


def test_refused_message_is_no_repetition_later(program, shop):
    program.send(mail_from(shop.address), "first@north.example")  # the quota's row exists
    Account.objects.update(daily_quota=3)
    mail = mail_from(shop.address, Message_ID="<one@shop.example>")
    program.say(f"MAIL FROM:<{shop.address}>")
    for name in ("ann", "bob"):
        program.say(f"RCPT TO:<{name}@north.example>")
    Account.objects.update(daily_quota=2)
    program.say("DATA")
    program._smtp.send(mail.as_bytes().replace(b"\n", b"\r\n") + b".\r\n")

    assert program._smtp.getreply()[0] == 452
    assert not Acceptance.objects.exists()

    Account.objects.update(daily_quota=3)
    assert program.send(mail, "ann@north.example", "bob@north.example") == 250
    assert Message.objects.count() == 3


def test_keys_are_forgotten_after_a_day(program, shop):
    mail = mail_from(shop.address, Message_ID="<one@shop.example>")
    program.send(mail, "ann@north.example")

    assert acceptance.purge(now=timezone.now() + timedelta(hours=23)) == 0
    assert acceptance.purge(now=timezone.now() + timedelta(hours=25)) == 1
    program.send(mail, "ann@north.example")

    assert Message.objects.count() == 2


# ── Trouble ──


async def accepted(wanted):
    line = Line()
    try:
        answers, _lanes = await submissions.accept(line, wanted, now=timezone.now())
    finally:
        await line.close()
    return answers


def test_one_refused_message_does_not_hold_up_its_group(shop):
    rich, poor = shop, SenderFactory(stream=Stream.TRIGGER)
    Account.objects.filter(pk=poor.account_id).update(daily_quota=1)
    stored = {"kind": "mime", "mime": b"From: a\r\n\r\n"}
    for sender in (rich, poor):
        password_for(sender)
        sender.refresh_from_db()
    wanted = [
        submissions.Incoming(rich, rich.address, ["a@north.example"], stored=stored),
        submissions.Incoming(poor, poor.address, ["b@north.example", "c@north.example"], stored=stored),
        submissions.Incoming(rich, rich.address, ["d@north.example"], tag="none", stored=stored),
        submissions.Incoming(poor, poor.address, ["e@north.example"], stored=stored),
        submissions.Incoming(rich, rich.address, ["f@north.example"], stored=stored),
    ]

    answers = asyncio.run(accepted(wanted))

    codes = [getattr(answer, "code", "") for answer in answers]
    assert codes == ["", "quota_spent", "tag_not_found", "", ""]
    assert sorted(Message.objects.values_list("recipient", flat=True)) == [
        "a@north.example",
        "e@north.example",
        "f@north.example",
    ]
    assert dict(QuotaUse.objects.values_list("account_id", "day_used")) == {rich.account_id: 2, poor.account_id: 1}


def test_sick_database_means_later_and_nothing_is_kept(program, shop):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sending_event RENAME TO sending_event_gone")
    try:
        sick = program.send(mail_from(shop.address), "ann@north.example")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE sending_event_gone RENAME TO sending_event")

    assert (sick, program.last[1][:5]) == (451, "4.3.0")
    assert not Message.objects.exists()
    assert program.send(mail_from(shop.address), "ann@north.example") == 250


def test_database_that_has_restarted_is_found_again(program, shop):
    program.send(mail_from(shop.address), "ann@north.example")
    end_connections()
    assert program.send(mail_from(shop.address), "ann@north.example") == 250
    end_connections()
    assert program.send(mail_from(shop.address), "ann@north.example") == 250
    assert Message.objects.count() == 3


def end_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_full_disk_means_later(program, shop, settings, tmp_path):
    (tmp_path / "file").write_text("no folder")
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "file")},
        },
    }

    code = program.send(b"From: shop@mail.example.com\r\n\r\n" + b"a\r\n" * 100_000, "ann@north.example")

    assert code == 451
    assert not Message.objects.exists()


# ── Lists ──


@pytest.fixture
def news(shop):
    return SenderFactory(account=shop.account, domain=shop.domain, address="news@mail.example.com")


@pytest.fixture
def readers(shop):
    readers = RecipientListFactory(account=shop.account, alias="readers@lists.example.com", name="Readers", count=2)
    for name in ("Ann", "Bob"):
        RecipientFactory(list=readers, address=f"{name.lower()}@north.example", variables={"UserName": name})
    return readers


def test_mail_to_a_list_is_tracked_where_it_says_so(door, news, readers):
    mail = mail_from(news.address, X_Mailpush_Track="yes")
    mail.set_content("Dear {UserName}\n")
    mail.add_alternative("<p>Dear <b>{UserName}</b></p>", subtype="html")

    with at_door(door, news) as program:
        assert program.send(mail, readers.alias) == 250

    assert Batch.objects.get().content.is_tracked


def test_mail_to_a_list_becomes_a_batch(door, news, readers):
    mail = mail_from(news.address, Message_ID="<issue-1@shop.example>")
    mail.replace_header("Subject", "给 {UserName} 的信")
    mail.set_content("Dear {UserName}\n")
    mail.add_alternative("<p>Dear <b>{UserName}</b></p>", subtype="html")

    with at_door(door, news) as program:
        codes = [program.send(mail, "Readers@lists.example.com") for _ in range(2)]
        answer = program.last

    batch = Batch.objects.get()
    assert codes == [250, 250]
    assert answer == (250, f"2.0.0 Accepted as batch {batch.pk}")
    assert (batch.list, batch.account, batch.requested, batch.created_by) == (readers, news.account, 2, f"SMTP {news}")
    content = batch.content
    assert (content.kind, content.subject, content.sender_name) == ("composed", "给 {UserName} 的信", "Shop")
    assert content.text == "Dear {UserName}\n"
    assert "<b>{UserName}</b>" in content.html


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda mail: mail.set_content("Dear {Nobody}"), "554 5.7.0 Line 1, column 6: {Nobody} is not a variable"),
        (lambda mail: mail.add_attachment("x", filename="x.txt"), "554 5.6.1 A message to a list has no attachments"),
        (lambda mail: mail.replace_header("Subject", "x" * 101), "554 5.7.0 A subject has 1 to 100"),
    ],
)
def test_circular_that_cannot_be_written_anew_is_refused(door, news, readers, change, expected):
    mail = mail_from(news.address)
    change(mail)

    with at_door(door, news) as program:
        program.send(mail, readers.alias)

    assert f"{program.last[0]} {program.last[1]}".startswith(expected)
    assert not Batch.objects.exists()


def test_only_batch_senders_write_to_lists_and_to_lists_alone(door, program, news, readers):
    assert program.send(mail_from(program.user), readers.alias) == 554  # triggered: no recipient was accepted
    assert program.replies[2][1].startswith("5.7.1 readers@lists.example.com is a recipient list")

    with at_door(door, news) as batch_program:
        batch_program.say(f"MAIL FROM:<{news.address}>")
        for recipient in (readers.alias, "ann@north.example"):
            batch_program.say(f"RCPT TO:<{recipient}>")
        batch_program.say("RSET")
        batch_program.say(f"MAIL FROM:<{news.address}>")
        for recipient in ("ann@north.example", readers.alias):
            batch_program.say(f"RCPT TO:<{recipient}>")

    assert batch_program.codes == [235, 250, 250, 452, 250, 250, 250, 452]


def test_alias_of_another_account_is_an_address_like_any(door, readers):
    stranger = SenderFactory(domain=DomainFactory())

    with at_door(door, stranger) as program:
        program.send(mail_from(stranger.address), readers.alias)

    assert program.last[0] == 250
    assert not Batch.objects.exists()
    assert [message.recipient for message in Message.objects.all()] == [readers.alias]
