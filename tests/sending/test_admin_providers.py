"""The operators' pages for providers, reply rules and single lanes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from senders.models import Stream
from sending.delivery import permits, providers, shaping
from sending.models import Chunk, Destination, Lane, Provider, ReplyRule
from tests.factories import MessageFactory, UserFactory

PROVIDERS = reverse("admin:sending_provider_changelist")
RULES = reverse("admin:sending_replyrule_changelist")
QUEUES = reverse("admin:sending_chunk_changelist")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sandbox(settings):
    """Local staff of the sandbox need no second factor."""
    settings.MAILPUSH_DELIVERY = "sandbox"


@pytest.fixture(autouse=True)
def _shipped():
    providers.ship(Provider, ReplyRule)


@pytest.fixture
def desk(client):
    client.defaults["HTTP_HOST"] = "localhost"
    client.force_login(UserFactory(email="ops@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def onlooker(desk):
    """Staff with the right to look."""
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="sending", codename__startswith="view"))
    desk.force_login(user)
    return desk


@pytest.fixture
def qq():
    return Provider.objects.get(name="qq")


def change(provider):
    return reverse("admin:sending_provider_change", args=[provider.pk])


def filled(page):
    """Return what the page's forms would send back unedited."""
    form = page.context["adminform"].form
    found = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    found["mx_patterns"] = ",".join(found.get("mx_patterns") or [])
    for inline in page.context["inline_admin_formsets"]:
        management = inline.formset.management_form
        found |= {f"{management.prefix}-{name}": value for name, value in management.initial.items()}
        for each in inline.formset.forms:
            found |= {
                f"{each.prefix}-{name}": each.get_initial_for_field(each.fields[name], name) for name in each.fields
            }
    return {name: "" if value is None or value is False else value for name, value in found.items()}


def edit(desk, provider, **values):
    return desk.post(change(provider), filled(desk.get(change(provider))) | values, follow=True)


def errors(page):
    context = page.context
    found = [*context["errors"]]
    return " ".join(str(error) for errors in found for error in ([errors] if isinstance(errors, str) else errors))


class TestProviders:
    def test_list(self, desk):
        page = desk.get(PROVIDERS).content.decode()

        for word in ("QQ Mail", "All others", "Microsoft 365"):
            assert word in page

    def test_edit_is_kept_and_audited(self, desk, qq, now):
        Destination.objects.create(domain="qq.com", site="qq", expires_at=timezone.now() + timedelta(hours=1))

        page = edit(desk, qq, connections="7", mails_per_minute="600")

        assert "was changed successfully" in page.content.decode()
        qq.refresh_from_db()
        assert (qq.connections, qq.mails_per_minute) == (7, 600)
        entry = AuditEntry.objects.get()
        assert (entry.account, entry.actor, entry.action, entry.target) == (
            None,
            "operator ops@example.com",
            "provider.changed",
            "qq",
        )
        assert entry.details == {"changes": {"connections": [4, 7], "mails_per_minute": [None, 600]}}
        assert Destination.objects.get().expires_at <= timezone.now()

    def test_edit_takes_effect_in_this_process_at_once(self, desk, qq, django_capture_on_commit_callbacks):
        now = timezone.now()
        assert shaping.current(now).shape("qq").connections == 4

        with django_capture_on_commit_callbacks(execute=True):
            edit(desk, qq, connections="7")

        assert shaping.current(now).shape("qq").connections == 7

    def test_nothing_changed_is_not_audited(self, desk, qq):
        edit(desk, qq)

        assert not AuditEntry.objects.exists()

    def test_rule_is_edited_beside_its_provider(self, desk, qq):
        edit(desk, qq, **{"rules-0-seconds": "60"})

        rule = qq.rules.first()
        assert rule.seconds == 60
        assert AuditEntry.objects.get().details == {"changes": {rule.pattern: {"seconds": [3600, 60]}}}

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"connections": "0"}, "greater than or equal to 1"),
            ({"mails_per_minute": "0"}, "greater than or equal to 1"),
            ({"mx_patterns": ""}, "Without mail servers nobody is recognised."),
            ({"mx_patterns": "*.qq.com, http://qq.com/"}, "“http://qq.com/” is no name of mail servers"),
            ({"mx_patterns": "*"}, "is no name of mail servers"),
            ({"reason": ""}, "This field is required."),
            ({"rules-0-pattern": "("}, "This is not a pattern: missing ):"),
            ({"rules-0-pattern": "a*"}, "This pattern fits every reply."),
            ({"rules-0-seconds": "0"}, "Say for how many seconds."),
            ({"rules-0-seconds": "86401"}, "less than or equal to 86400"),
            ({"rules-0-action": "fail"}, "it lasts 0 seconds"),
        ],
    )
    def test_wrong_values_are_told_and_change_nothing(self, desk, qq, values, sentence):
        before = list(Provider.objects.values()), list(ReplyRule.objects.values())

        page = edit(desk, qq, **values)

        assert sentence in errors(page)
        assert (list(Provider.objects.values()), list(ReplyRule.objects.values())) == before
        assert not AuditEntry.objects.exists()

    def test_ones_own_is_added_and_deleted(self, desk):
        add = reverse("admin:sending_provider_add")
        values = {
            "title": "Our relay",
            "name": "relay",
            "mx_patterns": "smtp.relay.test",
            "connections": "2",
            "mails_per_connection": "5",
            "tls": "required",
            "enabled": "on",
            "reason": "Agreed with them.",
        }
        desk.post(add, filled(desk.get(add)) | values)
        relay = Provider.objects.get(name="relay")
        assert relay.mx_patterns == ["smtp.relay.test"]

        desk.post(reverse("admin:sending_provider_delete", args=[relay.pk]), {"post": "yes"})

        assert not Provider.objects.filter(name="relay").exists()
        assert list(AuditEntry.objects.order_by("pk").values_list("action", "target")) == [
            ("provider.added", "relay"),
            ("provider.deleted", "relay"),
        ]

    def test_name_without_dot(self, desk):
        add = reverse("admin:sending_provider_add")

        page = desk.post(add, filled(desk.get(add)) | {"name": "shop.test"})

        assert "lower-case letters, digits and hyphens" in errors(page)

    def test_shipped_ones_are_switched_off_and_not_deleted(self, desk, qq):
        assert desk.post(reverse("admin:sending_provider_delete", args=[qq.pk]), {"post": "yes"}).status_code == 403
        desk.post(PROVIDERS, {"action": "delete_selected", "_selected_action": [qq.pk], "post": "yes"})

        edit(desk, qq, enabled="")

        assert Provider.objects.get(name="qq").enabled is False

    def test_row_for_all_others_stays_in_use(self, desk):
        others = Provider.objects.get(name="")

        edit(desk, others, connections="3", enabled="", mx_patterns="*.test")

        others.refresh_from_db()
        assert (others.connections, others.enabled, others.mx_patterns) == (3, True, [])

    def test_restore_asks_first(self, desk, qq):
        edit(desk, qq, connections="7")
        restore = reverse("admin:sending_provider_restore", args=[qq.pk])
        assert restore in desk.get(change(qq)).content.decode()

        assert "rules of your own stay" in desk.get(restore).content.decode()
        assert Provider.objects.get(name="qq").connections == 7
        page = desk.post(restore, follow=True).content.decode()

        assert "The shipped values are back." in page
        assert Provider.objects.get(name="qq").connections == 4
        assert AuditEntry.objects.filter(action="provider.restored", target="qq").exists()

    def test_ones_own_cannot_be_restored(self, desk):
        own = Provider.objects.create(
            name="own", title="Own", mx_patterns=["a.test"], connections=1, mails_per_connection=1
        )
        restore = reverse("admin:sending_provider_restore", args=[own.pk])

        assert restore not in desk.get(change(own)).content.decode()
        assert "not among those that are shipped" in desk.post(restore, follow=True).content.decode()

    def test_onlooker_changes_nothing(self, onlooker, qq):
        restore = reverse("admin:sending_provider_restore", args=[qq.pk])

        assert restore not in onlooker.get(change(qq)).content.decode()
        assert onlooker.post(restore).status_code == 403
        assert onlooker.post(change(qq), {"connections": "9"}).status_code == 403


class TestRules:
    def test_rule_for_everywhere(self, desk):
        add = reverse("admin:sending_replyrule_add")
        values = {"pattern": "come back tomorrow", "action": "suspend", "seconds": "3600", "reason": "They said so."}
        desk.post(add, filled(desk.get(add)) | values | {"enabled": "on"})

        rule = ReplyRule.objects.get(pattern="come back tomorrow")
        assert (rule.provider, rule.key, rule.enabled) == (None, None, True)
        assert "come back tomorrow" in desk.get(RULES).content.decode()
        assert AuditEntry.objects.get().action == "reply_rule.added"

    def test_shipped_rule_is_not_deleted(self, desk):
        rule = ReplyRule.objects.get(key="qq-ip")
        own = ReplyRule.objects.create(pattern="own", action="fail", reason="-")

        answers = [
            desk.post(reverse("admin:sending_replyrule_delete", args=[each.pk]), {"post": "yes"}).status_code
            for each in (rule, own)
        ]

        assert answers == [403, 302]
        assert AuditEntry.objects.get().action == "reply_rule.deleted"


class TestLane:
    def test_list_shows_pace_and_connections(self, desk):
        now = timezone.now()
        Lane.objects.create(
            stream=Stream.BATCH,
            site="qq",
            pace=60,
            connections=2,
            paced_since=now,
            paced_until=now + timedelta(minutes=5),
            pace_reason="QQ Mail finds our traffic suspicious.",
        )
        Chunk.objects.create(stream=Stream.BATCH, site="plain.test", messages=[1], due_at=now)
        permits.grant(Stream.BATCH, "a worker", {"qq": permits.Wish(1, 2)}, now)

        page = desk.get(QUEUES)

        shown = [
            (queue.title, queue.rate, queue.connections, queue.connections_open) for queue in page.context["queues"]
        ]
        assert shown == [("plain.test", None, 8, 0), ("QQ Mail", 60, 1, 1)]
        for words in ("1 of 1", "60 mails a minute", "finds our traffic suspicious", "no limit"):
            assert words in page.content.decode()

    def test_lane_that_has_recovered_and_is_empty_is_not_listed(self, desk):
        long_ago = timezone.now() - timedelta(hours=5)
        Lane.objects.create(
            stream=Stream.BATCH, site="qq", pace=60, connections=2, paced_since=long_ago, paced_until=long_ago
        )

        assert desk.get(QUEUES).context["queues"] == []

    def test_one_lane_with_the_last_replies(self, desk):
        now = timezone.now()
        replies = ["450 greylisted", "450 greylisted", "421 busy", ""]
        waiting = [MessageFactory(last_reply=reply).pk for reply in replies]
        Chunk.objects.create(stream=Stream.BATCH, site="qq", messages=waiting[:3], due_at=now + timedelta(minutes=5))
        Chunk.objects.create(stream=Stream.BATCH, site="qq", messages=waiting[3:], due_at=now)
        Lane.objects.create(
            stream=Stream.BATCH, site="qq", suspended_until=now + timedelta(minutes=5), reason="421 busy"
        )

        page = desk.get(QUEUES, {"stream": "batch", "site": "qq"})

        assert page.context["replies"] == [("450 greylisted", 2), ("421 busy", 1)]
        assert page.context["queue"].messages == 4
        for words in ("Resume now", change(Provider.objects.get(name="qq")), "0 of 3"):
            assert words in page.content.decode()

    def test_unknown_lane(self, desk):
        assert desk.get(QUEUES, {"stream": "batch", "site": "nowhere.test"}).status_code == 404

    def test_look_up_lane(self, desk):
        Chunk.objects.create(stream=Stream.BATCH, messages=[1], due_at=timezone.now())

        assert "Not looked up yet" in desk.get(QUEUES, {"stream": "batch", "site": ""}).content.decode()
