"""Single messages through the REST API."""

import base64
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import QuotaUse, Role, Scope
from recipients.models import Suppression
from sending import bodies, mime
from sending.acceptance import Addressee
from sending.models import Chunk, Content, Event, Message, Status
from sending.services import sends
from sending.services.inline import Body
from sending.services.sends import Wanted
from tests.conftest import Program
from tests.factories import BatchFactory, MessageFactory, SenderFactory, SuppressionFactory, TagFactory, TemplateFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(account):
    return SenderFactory(account=account, stream="trigger", address="codes@mail.example.com", domain__account=account)


@pytest.fixture
def wanted(sender):
    return {
        "sender": sender.address,
        "recipients": [{"address": "Anna@Readers.Example.org", "variables": {"Code": "123 456"}}],
        "subject": "Your code {Code}",
        "html": "<p>It is <b>{Code}</b>.</p>",
    }


def test_a_message_is_accepted_with_its_own_variables(program, wanted, sender):
    answer = program.call("POST", "messages", wanted)

    message = Message.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {
        "data": [{"id": str(message.pk), "recipient": "Anna@readers.example.org", "status": "queued"}]
    }
    assert message.variables == {"Code": "123 456"}
    assert (message.content.subject, message.content.html) == (wanted["subject"], wanted["html"])
    assert "{Code}" in message.content.text  # made of the HTML
    assert Chunk.objects.get().messages == [message.pk]
    event = Event.objects.get()
    assert (event.account_id, event.sender_id, event.n, event.status) == (sender.account_id, sender.pk, 1, "queued")
    assert QuotaUse.objects.get().day_used == 1


def test_a_thousand_recipients_share_one_content(program, wanted, django_assert_max_num_queries):
    wanted["recipients"] = [
        {"address": f"r{n}@readers.example.org", "variables": {"Code": str(n)}} for n in range(1000)
    ]

    with django_assert_max_num_queries(14):
        answer = program.call("POST", "messages", wanted)

    assert answer.status_code == 202
    assert [entry["recipient"] for entry in answer.json()["data"]] == [to["address"] for to in wanted["recipients"]]
    assert Content.objects.count() == 1
    assert [len(chunk.messages) for chunk in Chunk.objects.order_by("pk")] == [500, 500]
    assert [(event.status, event.n) for event in Event.objects.all()] == [("queued", 1000)]


def test_suppressed_recipients_are_told(program, wanted, account):
    SuppressionFactory(account=account, address="gone@readers.example.org", reason=Suppression.Reason.BOUNCED)
    wanted["recipients"] = [{"address": "gone@readers.example.org"}, {"address": "here@readers.example.org"}]

    answer = program.call("POST", "messages", wanted)

    assert [entry["status"] for entry in answer.json()["data"]] == ["suppressed", "queued"]
    assert QuotaUse.objects.get().day_used == 1


def test_without_variables_braces_are_braces(program, wanted):
    wanted |= {
        "recipients": [{"address": "a@readers.example.org"}],
        "subject": "{",
        "html": "<p>a { b</p>",
        "text": "}",
    }

    assert program.call("POST", "messages", wanted).status_code == 202
    content = Content.objects.get()
    assert (content.subject, content.html, content.text) == ("{{", "<p>a {{ b</p>", "}}")
    assert program.call("GET", "messages").json()["data"][0]["subject"] == "{"


def test_an_approved_template_is_sent(program, wanted, account):
    template = TemplateFactory(account=account, approve=True, subject="Hi {UserName}", sender_name="Shop")
    wanted = {"sender": wanted["sender"], "recipients": wanted["recipients"], "template": str(template.pk)}

    assert program.call("POST", "messages", wanted).status_code == 202
    content = Content.objects.get()
    assert (content.subject, content.sender_name, content.html) == ("Hi {UserName}", "Shop", template.approved.html)


def test_a_scheduled_message_waits_until_its_time(program, wanted):
    at = (timezone.now() + timedelta(days=2)).replace(microsecond=0)

    answer = program.call("POST", "messages", wanted | {"at": at.isoformat()})

    shown = program.call("GET", f"messages/{answer.json()['data'][0]['id']}").json()
    assert Chunk.objects.get().due_at == at
    assert shown["scheduled_at"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"
    assert shown["accepted_at"] < shown["scheduled_at"]


def test_attachments_and_headers_make_whole_mails(program, wanted):
    picture = {"name": "logo.png", "type": "image/png", "content": base64.b64encode(b"PNG").decode(), "content_id": "l"}
    invoice = {"name": "Rechnung für Anna.pdf", "type": "application/pdf", "content": "JVBERi0="}
    wanted |= {
        "sender_name": "Größte Shops",
        "reply_to": "shop@example.com",
        "headers": {"X-Order": "Nr. 4711 für Anna", "In-Reply-To": "<1@example.com>"},
        "attachments": [picture, invoice],
        "html": '<p>{Code}<img src="cid:l"></p>',
    }

    assert program.call("POST", "messages", wanted).status_code == 202
    content = Content.objects.get()
    mail = message_from_bytes(bodies.load(content), policy=policy.default)
    assert (mail["To"], mail["Subject"]) == ("Anna@readers.example.org", "Your code 123 456")
    assert (mail["From"], mail["Reply-To"]) == ("Größte Shops <codes@mail.example.com>", "shop@example.com")
    assert (mail["X-Order"], mail["In-Reply-To"]) == ("Nr. 4711 für Anna", "<1@example.com>")
    assert mail.get_body(("html",)).get_content().strip() == '<p>123 456<img src="cid:l"></p>'
    assert "123 456" in mail.get_body(("plain",)).get_content()
    assert [(part.get_filename(), part.get_content()) for part in mail.iter_attachments()] == [
        ("Rechnung für Anna.pdf", b"%PDF-")
    ]
    assert [part["Content-ID"] for part in mail.walk() if part.get_content_type() == "image/png"] == ["<l>"]
    assert b"\n" not in bodies.load(content).replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"sender": "nobody@example.com"}, "unknown_sender", "sender"),
        ({"tag": "unheard"}, "unknown_tag", "tag"),
        ({"recipients": []}, "invalid", "recipients"),
        ({"recipients": [{"address": "a@b.example.org"}, {"address": "no"}]}, "bad_address", "recipients[1].address"),
        ({"recipients": [{"address": "a@b.example.org", "name": "A"}]}, "unknown_field", "recipients[0].name"),
        (
            {"recipients": [{"address": "a@b.example.org", "variables": {"A": 1}}]},
            "bad_value",
            "recipients[0].variables.A",
        ),
        ({"subject": "a\r\nBcc: x@example.com"}, "invalid", "subject"),
        ({"subject": 7}, "invalid", "subject"),
        ({"subject": "Hello {"}, "bad_braces", "subject"),
        ({"sender_name": "a\nb"}, "invalid", "sender_name"),
        ({"reply_to": "a@b.example.org\r\nBcc: x@example.com"}, "bad_address", "reply_to"),
        ({"headers": {"X-A": "b\r\nBcc: x@example.com"}}, "bad_header", "headers.X-A"),
        ({"headers": {"Bcc": "x@example.com"}}, "header_not_allowed", "headers.Bcc"),
        ({"headers": {"X-A\r\nBcc": "x"}}, "header_not_allowed", "headers.X-A\r\nBcc"),
        ({"headers": {"DKIM-Signature": "x"}}, "header_not_allowed", "headers.DKIM-Signature"),
        ({"attachments": [{"name": "a", "content": "§"}]}, "not_base64", "attachments[0].content"),
        ({"attachments": [{"name": "a\nb", "content": ""}]}, "invalid", "attachments[0].name"),
        ({"attachments": [{"name": "../a", "content": "QQ=="}]}, "invalid", "attachments[0].name"),
        ({"at": "2020-01-01T00:00:00Z"}, "bad_time", "at"),
        ({"at": "soon"}, "invalid", "at"),
        ({"template": "1"}, "invalid", "subject"),
        ({"sendr": "x"}, "unknown_field", "sendr"),
        ({"html": "a\0b"}, "unstorable", "html"),
        ({"html": "a\ud800b"}, "unstorable", "html"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(program, wanted, changes, code, field):
    answer = program.call("POST", "messages", wanted | changes)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
    assert answer.json()["message"]
    assert not Message.objects.exists()
    assert not Content.objects.exists()


def test_a_template_needs_approval_and_an_owner(program, wanted, account):
    own, foreign = TemplateFactory(account=account), TemplateFactory(approve=True)
    wanted = {"sender": wanted["sender"], "recipients": wanted["recipients"]}

    for template, code in ((own, "template_not_yet_approved"), (foreign, "unknown_template")):
        answer = program.call("POST", "messages", wanted | {"template": str(template.pk)})
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_what_another_account_has_cannot_be_used(strange_program, wanted, account):
    TagFactory(account=account, name="codes")

    assert strange_program.call("POST", "messages", wanted).json()["code"] == "unknown_sender"
    own = SenderFactory(account=strange_program.key.account, domain__account=strange_program.key.account)
    answer = strange_program.call("POST", "messages", wanted | {"sender": own.address, "tag": "codes"})
    assert answer.json()["code"] == "unknown_tag"


def test_quota_is_kept(program, wanted, account):
    account.daily_quota = 1
    account.save()
    wanted["recipients"] *= 2

    answer = program.call("POST", "messages", wanted)

    assert (answer.status_code, answer.json()["code"]) == (429, "quota_spent")
    assert int(answer["Retry-After"]) > 0
    assert not Message.objects.exists()


def test_attachments_have_a_limit(program, wanted):
    wanted["attachments"] = [{"name": "a", "content": base64.b64encode(bytes(16 * 2**20)).decode()}]

    assert program.call("POST", "messages", wanted).json()["code"] == "attachments_too_large"


def test_attachments_that_storage_does_not_take_are_refused(program, wanted, full_storage):
    wanted["attachments"] = [{"name": "a", "content": base64.b64encode(bytes(bodies.LARGEST_IN_ROW)).decode()}]

    answer = program.call("POST", "messages", wanted, Idempotency_Key="once")

    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (503, "storage_unavailable", "attachments")
    assert not Content.objects.exists()
    assert not QuotaUse.objects.filter(day_used__gt=0).exists()


def test_files_of_what_may_have_been_accepted_stay_in_storage(sender, actor, now):
    """The last word of a database that goes down is no answer to whether it has committed."""
    file = mime.Attachment("a", "application/pdf", bytes(bodies.LARGEST_IN_ROW))
    wanted = Wanted(sender.address, [Addressee("a@b.example")], body=Body("s", text="t"), attachments=[file])

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION go_down() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'admin_shutdown', MESSAGE = NEW.mime_file; END $$"
        )
        cursor.execute("CREATE TRIGGER gone BEFORE INSERT ON sending_content FOR EACH ROW EXECUTE FUNCTION go_down()")
        with pytest.raises(OperationalError) as raised:
            sends.send(wanted, by=actor, now=now)
        transaction.set_rollback(True)

    name = str(raised.value).partition("\n")[0]
    assert default_storage.exists(name)
    default_storage.delete(name)


def test_a_sending_key_only_sends(account, wanted):
    program = Program(account, scopes=[Scope.SEND])

    sent = program.call("POST", "messages", wanted)

    assert sent.status_code == 202
    assert program.call("GET", "messages").json()["code"] == "scope_missing"
    assert program.call("GET", f"messages/{sent.json()['data'][0]['id']}").status_code == 403


def test_a_viewer_does_not_send(account, wanted):
    answer = Program(account, role=Role.VIEWER).call("POST", "messages", wanted)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


# Looking


def test_messages_are_found(program, account):
    sender = SenderFactory(account=account, domain__account=account)
    batch = BatchFactory(content__sender=sender, content__account=account)
    single = MessageFactory(content__sender=sender, recipient="Anna@readers.example")
    delivered = MessageFactory(content__sender=sender, status=Status.DELIVERED)
    in_batch = MessageFactory(batch=batch, recipient="anna@readers.example")
    MessageFactory()

    def found(query):
        return [entry["id"] for entry in program.call("GET", f"messages?{query}").json()["data"]]

    assert found("") == [str(delivered.pk), str(single.pk)]
    assert found("recipient=ANNA@readers.example") == [str(in_batch.pk), str(single.pk)]
    assert found(f"batch={batch.pk}") == [str(in_batch.pk)]
    assert found("status=delivered") == [str(delivered.pk)]


def test_pages_follow_each_other(program, account, django_assert_num_queries):
    sender = SenderFactory(account=account, domain__account=account)
    messages = [MessageFactory(content__sender=sender) for _ in range(5)]
    pages, cursor = [], ""
    program.call("GET", "messages")  # notes the key's use

    while cursor is not None:
        with django_assert_num_queries(1):
            page = program.call("GET", f"messages?limit=2{cursor and f'&cursor={cursor}'}").json()
        pages.append([int(entry["id"]) for entry in page["data"]])
        cursor = page["next"]

    keys = [message.pk for message in reversed(messages)]
    assert pages == [keys[:2], keys[2:4], keys[4:]]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("cursor=nonsense", "bad_cursor", "cursor"),
        ("cursor=%00", "unstorable", "cursor"),
        ("limit=0", "min_value", "limit"),
        ("limit=1&limit=2", "repeated", "limit"),
        ("status=gone", "invalid_choice", "status"),
        ("stauts=queued", "unknown_field", "stauts"),
        ("batch=x", "invalid", "batch"),
    ],
)
def test_a_bad_question_is_not_answered(program, query, code, field):
    answer = program.call("GET", f"messages?{query}")

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)


def test_the_timeline_has_the_servers_words(program, account):
    sender = SenderFactory(account=account, domain__account=account)
    message = MessageFactory(content__sender=sender, status=Status.DELIVERED)
    Event.objects.create(
        account_id=account.pk, message_id=message.pk, sender_id=sender.pk, day=message.day, was="queued",
        status="delivered", at=timezone.now(), attempt=1, host="mx.example [192.0.2.1]", code=250, reply="2.0.0 Ok",
    )  # fmt: skip

    (event,) = program.call("GET", f"messages/{message.pk}").json()["events"]

    assert (event["status"], event["host"], event["code"], event["reply"]) == (
        *("delivered", "mx.example [192.0.2.1]"),
        *(250, "2.0.0 Ok"),
    )


# Calling off


def test_a_waiting_message_is_called_off(program, wanted):
    at = timezone.now() + timedelta(hours=1)
    wanted["recipients"] = [{"address": "a@readers.example.org"}, {"address": "b@readers.example.org"}]
    first, second = program.call("POST", "messages", wanted | {"at": at.isoformat()}).json()["data"]

    answer = program.call("POST", f"messages/{first['id']}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert Chunk.objects.get().messages == [int(second["id"])]
    assert QuotaUse.objects.get().day_used == 1
    again = program.call("POST", f"messages/{first['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "not_waiting")


def test_a_message_on_its_way_is_not_called_off(program, wanted):
    (message,) = program.call("POST", "messages", wanted).json()["data"]
    Chunk.objects.update(leased_until=timezone.now() + timedelta(seconds=30))

    assert program.call("POST", f"messages/{message['id']}/cancel").json()["code"] == "not_waiting"


def test_a_scheduled_message_is_called_off_on_its_page(program, wanted, owner_client):
    at = timezone.now() + timedelta(hours=1)
    (message,) = program.call("POST", "messages", wanted | {"at": at.isoformat()}).json()["data"]
    page = reverse("sending:message", args=[message["id"]])
    assert "It was accepted to be sent at a later time." in owner_client.get(page).content.decode()

    done = owner_client.post(reverse("sending:message-call-off", args=[message["id"]]), follow=True).content.decode()

    assert "It was called off before it left." in done
    assert "Call this message off?" not in done
    assert not Chunk.objects.exists()


def test_strangers_find_nothing(strange_program, account):
    message = MessageFactory(content__sender=SenderFactory(account=account, domain__account=account))

    assert strange_program.call("GET", "messages").json()["data"] == []
    assert strange_program.call("GET", f"messages/{message.pk}").status_code == 404
    assert strange_program.call("POST", f"messages/{message.pk}/cancel").status_code == 404
