"""The mail that tells authors what the review decided."""

from collections.abc import Iterable

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts.models import Role, User
from templates_app.models import Template


def who_is_told(template: Template) -> list[User]:
    """Return the account's owners, and the authors as long as they are its members."""
    is_author = Q(user__in=template.authors.all()) | Q(user=template.created_by_id)
    wanted = template.account.memberships.filter(Q(role=Role.OWNER) | is_author)
    return list(User.objects.filter(is_active=True, pk__in=wanted.values("user")).order_by("pk"))


def tell(people: Iterable[User], template: Template, *, reason: str) -> None:
    """Write to each in their language."""
    context = {
        "template": template,
        "reason": reason,
        "link": settings.MAILPUSH_PUBLIC_URL + reverse("templates_app:detail", args=[template.pk]),
    }
    for person in people:
        with translation.override(person.language or settings.LANGUAGE_CODE):
            subject = render_to_string("templates_app/mail/decision_subject.txt", context)
            body = render_to_string("templates_app/mail/decision.txt", context)
        send_mail(" ".join(subject.split()), body, None, [person.email])
