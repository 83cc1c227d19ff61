import csv
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Role, User
from recipients.imports import work
from recipients.models import Import, Recipient, RecipientList, Suppression
from tests.factories import (
    MembershipFactory,
    RecipientFactory,
    RecipientListFactory,
    SuppressionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def page(client, name, *args, status=200, **query):
    answer = client.get(reverse(f"recipients:{name}", args=args), query)
    assert answer.status_code == status
    return answer.content.decode()


def post(client, url_name, *args, **values):
    return client.post(reverse(f"recipients:{url_name}", args=args), values, follow=True)


@pytest.fixture
def viewer_client(member, client_of):
    return client_of(member(Role.VIEWER))


@pytest.fixture
def stranger_client(client_of):
    return client_of(MembershipFactory())


@pytest.fixture
def operator_client(db):
    """A browser of staff at this machine: no second factor asked."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def test_a_customer_makes_a_list_and_uploads_a_file(owner_client):
    assert "No lists yet" in page(owner_client, "index")

    answer = post(owner_client, "list-create", name="Asia", alias="asia@abc.com", description="asia customer")
    assert "The list is ready" in answer.content.decode()
    made = RecipientList.objects.get()

    file = SimpleUploadedFile("list.csv", "a@b.com,张三\nnobody\n".encode())
    answer = post(owner_client, "list-upload", made.pk, file=file)
    text = answer.content.decode()
    assert "its import has begun" in text
    assert f'hx-get="{reverse("recipients:list-imports", args=[made.pk])}"' in text
    assert "Waiting" in text

    job = Import.objects.get()
    work.run(job.pk)
    text = page(owner_client, "list-imports", made.pk)
    assert "hx-get" not in text
    assert reverse("recipients:import-rejects", args=[job.pk]) in text
    assert "a@b.com" in page(owner_client, "list", made.pk)

    rejects = owner_client.get(reverse("recipients:import-rejects", args=[job.pk]))
    assert "attachment" in rejects["Content-Disposition"]
    assert b"nobody" in b"".join(rejects.streaming_content)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 400, "The file is empty."),
        (b"PK\x03\x04 xl/workbook.xml", 400, "This is an Excel file. Save it as CSV first"),
        (b"a@b.com\n" * 1000, 413, "The file is larger than 1000 bytes"),
    ],
)
def test_wrong_uploads_are_refused_on_the_page(owner_client, recipient_list, settings, body, status, sentence):
    settings.LIST_UPLOAD_MAX_BYTES = 1000
    answer = post(owner_client, "list-upload", recipient_list.pk, file=SimpleUploadedFile("list.xlsx", body))

    assert answer.status_code == status
    assert sentence in answer.content.decode().replace("\xa0", " ")
    assert not Import.objects.exists()


@pytest.mark.parametrize("name", ["list-upload", "suppressions-upload"])
def test_an_upload_that_finds_no_room_while_it_comes_in_is_refused_on_the_page(
    owner, recipient_list, settings, tmp_path, name
):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 1000, str(tmp_path / "none")
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner.user)
    form = page(client, "list" if name == "list-upload" else "suppression-add", *names_list(name, recipient_list))
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
    file = SimpleUploadedFile("list.csv", b"a@b.com\n" * 1000)

    answer = post(client, name, *names_list(name, recipient_list), csrfmiddlewaretoken=token, file=file)

    assert answer.status_code >= 400
    assert "The platform cannot keep files at the moment" in answer.content.decode()
    assert not Import.objects.exists()
    assert not Suppression.objects.exists()


def names_list(name, recipient_list):
    return [recipient_list.pk] if name == "list-upload" else []


def test_an_upload_that_storage_does_not_take_is_refused_on_the_page(owner_client, recipient_list, full_storage):
    file = SimpleUploadedFile("list.csv", b"a@b.com\n")
    answer = post(owner_client, "list-upload", recipient_list.pk, file=file)

    assert "The platform cannot keep files at the moment" in answer.content.decode()
    assert not Import.objects.exists()


def test_upload_needs_the_pages_token(owner, recipient_list):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner.user)
    file = SimpleUploadedFile("list.csv", b"a@b.com\n")

    assert post(client, "list-upload", recipient_list.pk, file=file).status_code == 403


def test_lists_page_searches_and_asks_as_often_for_three_as_for_one(
    owner_client, account, django_assert_max_num_queries
):
    RecipientListFactory(account=account, name="Needle")
    RecipientListFactory(name="Foreign")
    with django_assert_max_num_queries(8):
        assert "Needle" in page(owner_client, "index")
    RecipientListFactory.create_batch(2, account=account)
    with django_assert_max_num_queries(8):
        text = page(owner_client, "index")
    assert "Foreign" not in text

    assert "No list matches" in page(owner_client, "index", q="nothing like it")
    assert "Needle" in page(owner_client, "index", q="need")


def test_recipients_are_paged_by_address(owner_client, recipient_list):
    for number in range(45):
        RecipientFactory(list=recipient_list, address=f"U{number:02d}@x.com")

    seen, url = [], reverse("recipients:list", args=[recipient_list.pk])
    while url:
        answer = owner_client.get(url)
        seen += [row.address for row in answer.context["slice"].rows]
        following = answer.context["slice"].next_url
        url = following and reverse("recipients:list", args=[recipient_list.pk]) + following

    assert seen == [f"U{number:02d}@x.com" for number in range(45)]


def test_recipients_are_searched_by_address_and_name(owner_client, recipient_list):
    RecipientFactory(list=recipient_list, address="Tom@x.com", variables={"UserName": "张三"})
    RecipientFactory(list=recipient_list, address="anna@x.com", variables={"NickName": "100%"})
    RecipientFactory(address="tom@foreign.com")

    def found(query):
        answer = owner_client.get(reverse("recipients:list", args=[recipient_list.pk]), {"q": query})
        return [row.address for row in answer.context["slice"].rows]

    assert found("TOM") == ["Tom@x.com"]
    assert found("张") == ["Tom@x.com"]
    assert found("100%") == ["anna@x.com"]
    assert found("%") == ["anna@x.com"]
    assert found("\0") == ["anna@x.com", "Tom@x.com"]


def test_recipients_are_added_edited_and_deleted(owner_client, recipient_list):
    post(owner_client, "recipient-add", recipient_list.pk, address="tom@x.com", UserName="Tom")
    text = post(owner_client, "recipient-add", recipient_list.pk, address="TOM@x.com").content.decode()
    assert "is already on this list" in text
    tom = Recipient.objects.get()

    post(owner_client, "recipient-edit", recipient_list.pk, tom.pk, address="tom@x.com", Gender="Mr")
    tom.refresh_from_db()
    assert tom.variables == {"Gender": "Mr"}

    post(owner_client, "recipients-delete", recipient_list.pk, recipient=[tom.pk, "x"])
    assert not Recipient.objects.exists()


def test_list_is_edited_and_deleted(owner_client, recipient_list):
    post(owner_client, "list-edit", recipient_list.pk, name="New", alias="new@x.com")
    assert "New" in page(owner_client, "list", recipient_list.pk)

    assert "is deleted" in post(owner_client, "list-delete", recipient_list.pk).content.decode()
    page(owner_client, "list", recipient_list.pk, status=404)
    assert post(owner_client, "list-delete", recipient_list.pk).status_code == 404


def test_sample_file_can_be_imported(owner_client, recipient_list):
    body = owner_client.get(reverse("recipients:sample")).content
    post(owner_client, "list-upload", recipient_list.pk, file=SimpleUploadedFile("recipients.csv", body))
    work.run(Import.objects.get().pk)

    job = Import.objects.get()
    assert (job.added, job.invalid, job.unused_columns) == (3, 0, "")


def test_suppressions_are_added_found_and_removed(owner_client, account):
    assert "No address is suppressed" in page(owner_client, "suppressions")

    post(owner_client, "suppression-add", addresses="a@x.com\r\n\r\nB@x.com\r\n", note="asked")
    assert "Not an e-mail address: nobody" in post(owner_client, "suppression-add", addresses="nobody").content.decode()
    Suppression.objects.create(account=None, address="platform@x.com", reason="bounced")
    text = page(owner_client, "suppressions")
    assert "a@x.com" in text
    assert "b@x.com" in text
    assert "platform@x.com" not in text
    assert "b@x.com" not in page(owner_client, "suppressions", q="A@")
    assert "No suppressed address matches" in page(owner_client, "suppressions", reason="bounced")

    row = Suppression.objects.get(address="a@x.com")
    post(owner_client, "suppression-remove", row.pk, note="")
    assert Suppression.objects.filter(pk=row.pk).exists()
    post(owner_client, "suppression-remove", row.pk, note="by phone")
    assert not Suppression.objects.filter(pk=row.pk).exists()


def test_suppressions_are_paged_newest_first(owner_client, account):
    Suppression.objects.bulk_create(
        Suppression(account=account, address=f"u{n}@x.com", reason="bounced") for n in range(25)
    )
    first = owner_client.get(reverse("recipients:suppressions")).context["slice"]
    second = owner_client.get(reverse("recipients:suppressions") + first.next_url).context["slice"]

    assert [row.address for row in (*first.rows, *second.rows)] == [f"u{n}@x.com" for n in reversed(range(25))]
    assert (first.first_url, second.next_url) == ("", "")


def test_suppressions_are_exported_without_formulas(owner_client, account, stranger):
    Suppression.objects.create(account=account, address="a@x.com", reason="bounced", evidence="=cmd()")
    Suppression.objects.create(account=stranger.account, address="foreign@x.com", reason="bounced")
    answer = owner_client.get(reverse("recipients:suppressions-export"))
    lines = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))

    assert [line[0] for line in lines] == ["Address", "a@x.com"]
    assert "'=cmd()" in lines[1]


def test_strangers_find_nothing_of_others(stranger_client, recipient_list, upload, account):
    tom = RecipientFactory(list=recipient_list)
    job = upload("nobody\n")
    work.run(job.pk)
    row = Suppression.objects.create(account=account, address="a@x.com", reason="bounced")

    for name, args in [
        *[(name, [recipient_list.pk]) for name in ("list", "list-edit", "list-imports", "recipient-add")],
        ("recipient-edit", [recipient_list.pk, tom.pk]),
        ("import-rejects", [job.pk]),
        ("suppression-remove", [row.pk]),
    ]:
        page(stranger_client, name, *args, status=404)
    for name in ("list-delete", "list-upload", "recipients-delete"):
        assert post(stranger_client, name, recipient_list.pk, recipient=tom.pk).status_code == 404
    assert recipient_list.name not in page(stranger_client, "index")


def test_viewers_see_but_do_not_change(viewer_client, recipient_list, account):
    tom = RecipientFactory(list=recipient_list)
    row = Suppression.objects.create(account=account, address="a@x.com", reason="bounced")

    for name, args in [("index", []), ("list", [recipient_list.pk]), ("suppressions", [])]:
        text = page(viewer_client, name, *args)
        assert "/delete/" not in text.replace(reverse("recipients:recipients-delete", args=[recipient_list.pk]), "")
        assert "/remove/" not in text
    for name, args in [
        ("list-create", []),
        ("list-edit", [recipient_list.pk]),
        ("list-delete", [recipient_list.pk]),
        ("list-upload", [recipient_list.pk]),
        ("recipient-add", [recipient_list.pk]),
        ("recipient-edit", [recipient_list.pk, tom.pk]),
        ("recipients-delete", [recipient_list.pk]),
        ("suppression-add", []),
        ("suppression-remove", [row.pk]),
    ]:
        assert post(viewer_client, name, *args).status_code == 403


def test_operators_edit_the_platforms_suppressions_alone(operator_client, account):
    own = Suppression.objects.create(account=account, address="a@x.com", reason="bounced")
    add = reverse("admin:recipients_suppression_add")
    operator_client.post(add, {"address": "Trap@X.com", "reason": "manual"})
    platforms = Suppression.objects.get(account=None)
    assert platforms.address == "trap@x.com"
    assert (
        b"suppressed for the whole platform already"
        in operator_client.post(add, {"address": "trap@x.com", "reason": "manual"}).content
    )

    for row, status in ((own, 403), (platforms, 302)):
        url = reverse("admin:recipients_suppression_delete", args=[row.pk])
        assert operator_client.post(url, {"post": "yes"}).status_code == status
    assert list(Suppression.objects.all()) == [own]


@pytest.mark.parametrize("model", ["recipientlist", "import", "suppression"])
def test_admin_pages_open(operator_client, upload, model):
    upload("a@x.com\n")

    assert operator_client.get(reverse(f"admin:recipients_{model}_changelist")).status_code == 200


def test_suppressions_come_from_a_file(owner_client, account):
    url = reverse("recipients:suppressions-upload")
    file = SimpleUploadedFile("old.txt", b"a@x.com\nnobody\nb@x.com\n")

    text = owner_client.post(url, {"file": file, "note": "old system"}).content.decode()

    assert "nobody" in text
    assert Suppression.objects.for_account(account).count() == 2
    wrong = owner_client.post(url, {"file": SimpleUploadedFile("x.xlsx", b"PK\x03\x04 xl/")})
    assert wrong.status_code == 400
    assert "This is an Excel file" in wrong.content.decode()


def test_both_forms_for_suppressions_have_labelled_fields(owner_client):
    add, upload = reverse("recipients:suppression-add"), reverse("recipients:suppressions-upload")

    for page in (owner_client.get(add), owner_client.post(upload)):
        ids = re.findall(r'<(?:input|textarea)[^>]* id="([^"]+)"', page.content.decode())
        labels = re.findall(r'<label[^>]* for="([^"]+)"', page.content.decode())
        assert len(ids) == len(set(ids)) == 4
        assert set(ids) == set(labels)


def test_the_message_behind_a_suppression_is_named_in_chinese(owner_client, account):
    User.objects.update(language="zh-hans")
    row = SuppressionFactory(account=account, source="message 41")

    assert ">邮件 41</a>" in owner_client.get(reverse("recipients:suppressions")).content.decode()
    assert ">邮件 41</a>" in owner_client.get(reverse("recipients:suppression-remove", args=[row.pk])).content.decode()
