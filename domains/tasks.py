"""What Celery runs for domains; the rows say what is due."""

from celery import shared_task
from django.utils import timezone

from domains.checks import running
from domains.models import Domain


@shared_task
def check_due_domains() -> None:
    """Check the domains that are due (beat, see mailpush.schedule)."""
    now = timezone.now()
    claimed = running.claim_due(now=now)
    if claimed:
        running.run(claimed, now=now)


@shared_task
def check_domain(domain_id: int) -> None:
    """Check one domain now, due or not."""
    now = timezone.now()
    domain = Domain.objects.filter(pk=domain_id).first()
    claimed = domain and running.claim(domain, now=now)
    if claimed:
        running.run([claimed], now=now)
