"""Mail that came back, as operators handle it."""

from django.db import transaction
from django.db.models import QuerySet

from sending import tasks
from sending.models import Returned


@transaction.atomic
def read_again(rows: QuerySet[Returned]) -> int:
    """Have mails read once more, as after an update that understands more shapes; what they did is not done twice."""
    count = Returned.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(read_at=None)
    transaction.on_commit(tasks.read_returned.delay, robust=True)
    return count
