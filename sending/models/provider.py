"""Mailbox providers: what they bear, and what their replies mean for the pace.

The rows are data that operators edit; `sending.delivery.providers` holds what is shipped, and
`sending.delivery.shaping` is how the engine reads them.
"""

import re
from typing import Any

import re2
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

EVERYWHERE = ""  # the name of the row for sites that no other row knows
# A host name with * for any characters; the end is spelled out, so that nobody catches the whole world.
HOST_PATTERN = re.compile(r"[a-z0-9*]([a-z0-9*.-]*[a-z0-9])?")
LONGEST_SUSPENSION = 24 * 60 * 60  # seconds; a mistyped figure must not hold mail for weeks


class Tls(models.TextChoices):
    OPPORTUNISTIC = "opportunistic", _("When offered")
    REQUIRED = "required", _("Required")


class Provider(models.Model):
    """Who is behind a set of mail servers; all domains there share one site and thus these limits.

    The limits hold for the whole installation: all processes on all hosts together.
    """

    name = models.CharField(
        _("key"),
        max_length=32,
        unique=True,
        blank=True,
        # No dot: sites without a provider are domains.
        validators=[RegexValidator(r"\A[a-z0-9-]*\Z", _("Use lower-case letters, digits and hyphens."))],
        help_text=_("Names its lanes. It cannot be changed later."),
    )
    title = models.CharField(_("title"), max_length=64)
    mx_patterns = ArrayField(
        models.CharField(max_length=253),
        verbose_name=_("mail servers"),
        default=list,
        blank=True,
        help_text=_(
            "Names of its MX hosts, separated by commas, * for any characters. The longest pattern that fits counts."
        ),
    )
    connections = models.PositiveSmallIntegerField(
        _("connections"),
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("At the same time, over all processes and hosts."),
    )
    mails_per_connection = models.PositiveSmallIntegerField(
        _("mails per connection"), validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    mails_per_minute = models.PositiveIntegerField(
        _("mails per minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_("Empty: as fast as the connections carry them."),
    )
    tls = models.CharField(_("encryption"), max_length=13, choices=Tls.choices, default=Tls.OPPORTUNISTIC)
    enabled = models.BooleanField(
        _("in use"), default=True, help_text=_("Switched off, its domains are treated like those of no known provider.")
    )
    reason = models.TextField(_("reason"), help_text=_("Where the figures come from. Customers see it when they wait."))

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        constraints = [
            models.CheckConstraint(
                name="provider_limits_are_positive",
                condition=Q(connections__gte=1, mails_per_connection__gte=1)
                & (Q(mails_per_minute=None) | Q(mails_per_minute__gte=1)),
            ),
            models.CheckConstraint(
                name="provider_everywhere_is_in_use",
                condition=~Q(name=EVERYWHERE) | Q(enabled=True, mx_patterns=[]),
                violation_error_message=_(
                    "Without a name it is the row for all who have none of their own: no mail servers, always in use."
                ),
            ),
        ]

    def __str__(self) -> str:
        return gettext(self.title)

    def clean(self) -> None:
        if self.name != EVERYWHERE and not self.mx_patterns:
            raise ValidationError({"mx_patterns": _("Without mail servers nobody is recognised. Name at least one.")})
        for pattern in self.mx_patterns:
            if not HOST_PATTERN.fullmatch(pattern) or pattern.endswith("*"):
                text = gettext("“%(pattern)s” is no name of mail servers. Write them like this: *.example.com")
                raise ValidationError({"mx_patterns": text % {"pattern": pattern}})


class ReplyRule(models.Model):
    """What a reply means for the pace, told by its words. Never for 2xx replies.

    A provider's rules are read before those for everywhere; within each, the lowest position first,
    and the first that fits counts.
    """

    class Action(models.TextChoices):
        SLOW_DOWN = "slow_down", _("Slow down")  # fewer connections and mails; the message is tried again
        SUSPEND = "suspend", _("Suspend the lane")  # nothing for a while; the message is tried again
        RETRY = "retry", _("Try this message again")  # the lane goes on
        FAIL = "fail", _("Give this message up")  # the lane goes on

    PACING = (Action.SLOW_DOWN, Action.SUSPEND)

    provider = models.ForeignKey(
        Provider,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("provider"),
        help_text=_("Empty: everywhere."),
    )
    # Names a shipped rule, so that it can be restored; an operator's own has none.
    key = models.CharField(max_length=40, null=True, unique=True, editable=False)  # noqa: DJ001 - unique or none
    position = models.PositiveSmallIntegerField(_("position"), default=100)
    pattern = models.CharField(
        _("pattern"),
        max_length=300,
        help_text=_(
            "Regular expression (RE2), found anywhere in the reply on one line, in any letter case: ^421 4\\.7\\."
        ),
    )
    action = models.CharField(_("action"), max_length=9, choices=Action.choices)
    seconds = models.PositiveIntegerField(
        _("seconds"),
        default=0,
        validators=[MaxValueValidator(LONGEST_SUSPENSION)],
        help_text=_("How long a suspension lasts, or the lower pace is kept at least."),
    )
    reason = models.TextField(
        _("reason"), help_text=_("What it means, in a sentence. Customers see it when they wait.")
    )
    enabled = models.BooleanField(_("in use"), default=True)

    class Meta:
        verbose_name = _("reply rule")
        verbose_name_plural = _("reply rules")
        ordering = ["provider", "position", "pk"]
        constraints = [
            models.CheckConstraint(
                name="reply_rule_pacing_takes_time",
                condition=Q(action__in=["slow_down", "suspend"], seconds__gte=1)
                | Q(action__in=["retry", "fail"], seconds=0),
            ),
        ]

    def __str__(self) -> str:
        return self.pattern

    def clean(self) -> None:
        problems: dict[str, Any] = {}
        if problem := pattern_problem(self.pattern):
            problems["pattern"] = problem
        if self.action in self.PACING and not self.seconds:
            problems["seconds"] = _("Say for how many seconds.")
        elif self.action and self.action not in self.PACING and self.seconds:
            problems["seconds"] = _("This action changes nothing for other messages, so it lasts 0 seconds.")
        if problems:
            raise ValidationError(problems)


def pattern_options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 1 << 28  # bytes; a bound, not what is taken
    return options


def pattern_problem(pattern: str) -> str:
    """Return why a pattern cannot be used, or nothing. RE2 needs linear time whatever the pattern."""
    options = pattern_options()
    options.max_mem = 1 << 20  # bytes, of the many more that all of them together may have
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        return gettext("This is not a pattern: %(detail)s") % {"detail": detail}
    if compiled.search(""):
        return gettext("This pattern fits every reply.")
    return ""
