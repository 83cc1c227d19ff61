import pytest
from django.test import Client

from accounts.models import AuditEntry
from mailpush.rpc.models import OperationLimit
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/rpc/operationlimit/"


@pytest.fixture
def staff():
    client = Client(REMOTE_ADDR="127.0.0.1", headers={"host": "localhost"})
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def test_operators_set_an_accounts_limits(staff, account):
    wanted = {"account": account.pk, "operation": "SingleSendMail", "calls": 500, "seconds": 1}

    response = staff.post(f"{LIST}add/", wanted)

    assert response.headers["Location"] == LIST
    limit = OperationLimit.objects.get()
    assert (limit.operation, limit.calls) == ("SingleSendMail", 500)
    assert "SingleSendMail" in staff.get(LIST).content.decode()
    staff.post(f"{LIST}{limit.pk}/delete/", {"post": "yes"})
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "api_limit.set",
        "api_limit.removed",
    ]


@pytest.mark.parametrize("bad", [{"operation": "SendFax"}, {"calls": 0}, {"seconds": 0}])
def test_other_limits_are_refused(staff, account, bad):
    wanted = {"account": account.pk, "operation": "GetUser", "calls": 5, "seconds": 1, **bad}

    assert staff.post(f"{LIST}add/", wanted).status_code == 200
    assert not OperationLimit.objects.exists()
