from datetime import timedelta

import pytest

from mailpush.mail.replies import Reply
from mailpush.mail.tls import TlsPolicy
from sending.delivery import providers, shaping
from sending.delivery.shipped import PROVIDERS, RULES
from sending.models import Provider, ReplyRule
from sending.models.provider import pattern_problem

pytestmark = pytest.mark.django_db

SLOW, SUSPEND, RETRY, FAIL = ReplyRule.Action.values


@pytest.fixture
def shipped():
    """The shipped rows, also where another test has emptied the database."""
    providers.ship(Provider, ReplyRule)


@pytest.fixture
def current(shipped, now):
    return shaping.current(now)


class TestSites:
    @pytest.mark.parametrize(
        ("host", "site"),
        [
            ("mx3.qq.com", "qq"),
            ("mxbiz1.qq.com", "exmail"),
            ("smtp.qq.com", "fallback"),  # a relay, not a mail server for recipients
            ("163mx01.mxmail.netease.com", "163"),
            ("126mx00.mxmail.netease.com", "163"),
            ("freemx1.sinamail.sina.com.cn", "sina"),
            ("mxn.mxhichina.com", "aliyun"),
            ("mx1.qiye.aliyun.com", "aliyun"),
            ("smtpdm.aliyun.com", "fallback"),
            ("aspmx.l.google.com", "gmail"),
            ("ASPMX2.GOOGLEMAIL.COM", "gmail"),
            ("mta5.am0.yahoodns.net", "yahoo"),
            ("outlook-com.olc.protection.outlook.com", "outlook"),
            ("shop-com.mail.protection.outlook.com", "office365"),
            ("shop-com.p-v1.mx.microsoft", "office365"),
            ("mx01.mail.icloud.com", "icloud"),
            ("notgoogle.com", "fallback"),
        ],
    )
    def test_provider_is_known_by_its_best_mail_server(self, current, host, site):
        assert current.site_for([host, "backup.elsewhere.test"], "fallback") == site

    def test_longest_pattern_counts(self, shipped, now):
        Provider.objects.create(
            name="part", title="A part of it", mx_patterns=["*.l.google.com"], connections=1, mails_per_connection=1
        )

        current = shaping.current(now)

        assert [current.site_for([f"{name}.google.com"], "") for name in ("a.l", "a.m")] == ["part", "gmail"]

    def test_provider_that_is_switched_off_is_not_known(self, shipped, now):
        Provider.objects.filter(name="gmail").update(enabled=False)

        assert shaping.current(now).site_for(["aspmx.l.google.com"], "google.com") == "google.com"


class TestShape:
    def test_is_the_providers(self, current):
        shape = current.shape("qq")

        assert (shape.site, shape.connections, shape.mails_per_connection, shape.mails_per_minute, shape.tls) == (
            "qq",
            4,
            8,
            None,
            TlsPolicy.REQUIRED,
        )

    def test_of_unknown_sites_is_the_row_for_all_others(self, shipped, now):
        Provider.objects.filter(name="").update(connections=3, mails_per_minute=100)

        shape = shaping.current(now).shape("shop.test")

        assert (shape.connections, shape.mails_per_minute) == (3, 100)

    def test_without_rows_mail_goes_out_all_the_same(self, now):
        Provider.objects.all().delete()
        ReplyRule.objects.all().delete()

        current = shaping.current(now)

        assert current.shape("shop.test").connections == 10
        assert current.advice("shop.test", Reply(421, "busy")) == shaping.ASKED

    def test_tables_are_read_again_after_a_while(self, current, now, django_assert_num_queries):
        Provider.objects.filter(name="qq").update(connections=9)

        with django_assert_num_queries(0):
            assert shaping.current(now + timedelta(seconds=29)).shape("qq").connections == 4
        with django_assert_num_queries(2):
            assert shaping.current(now + timedelta(seconds=30)).shape("qq").connections == 9


class TestAdvice:
    @pytest.mark.parametrize(
        ("site", "code", "text", "action"),
        [
            ("qq", 550, "Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?no=1000725", SUSPEND),
            ("qq", 550, "Sender frequency limited", SUSPEND),
            ("qq", 550, "Mailbox unavailable or access denied", RETRY),
            ("exmail", 550, "Connection frequency limited", SUSPEND),
            ("163", 421, "HL:ICC 163 mx1,192.0.2.1 Too many connections", SLOW),
            ("163", 550, "RP:ORQ 163 mx2 recipient frequency", SUSPEND),
            ("163", 554, "HL:ITC 163 mx9", SUSPEND),
            ("163", 451, "MI:SFQ 163 smtp1,please try again later", SLOW),
            ("163", 451, "DT:SPM 163 smtp5,please try again later", SUSPEND),
            ("163", 554, "DT:SPM 163 mx4 http://mail.163.com/help/help_spam_16.htm", None),
            ("gmail", 421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail from your IP", SLOW),
            ("gmail", 550, "5.7.28 Gmail has detected an unusual rate of mail", SLOW),
            ("gmail", 421, "4.7.0 This message is suspicious due to the very low reputation of the domain", SUSPEND),
            ("gmail", 450, "4.2.1 The user you are trying to contact is receiving mail too quickly.", RETRY),
            ("gmail", 550, "5.1.1 The email account that you tried to reach does not exist.", None),
            ("yahoo", 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", SUSPEND),
            ("yahoo", 421, "4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", SLOW),
            ("yahoo", 553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", SUSPEND),
            ("yahoo", 421, "Max message per connection reached, closing transmission channel", RETRY),
            ("outlook", 421, "RP-001 (SNT004) Unfortunately, some messages could not be delivered", SUSPEND),
            ("outlook", 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited", SUSPEND),
            ("outlook", 451, "4.7.652 The mail server has exceeded the maximum number of connections.", SLOW),
            ("outlook", 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. (S3140).", SUSPEND),
            ("office365", 451, "4.7.500 Server busy. Please try again later from [192.0.2.1].", SLOW),
            ("office365", 550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", SUSPEND),
            ("office365", 550, "5.7.511 Access denied, banned sender", None),
            ("icloud", 421, "4.7.1 Messages from 192.0.2.1 temporarily deferred", SUSPEND),
            ("icloud", 554, "5.7.1 [CS01] Message rejected due to local policy.", FAIL),
            ("shop.test", 450, "4.2.0 <a@shop.test>: Greylisted, please come back", RETRY),
            ("shop.test", 451, "Server too busy", SLOW),
            ("shop.test", 550, "5.1.1 no such user", None),
            ("shop.test", 452, "4.2.2 mailbox full", None),
            ("shop.test", 550, "Ip frequency limited", SLOW),  # understood without a rule of its own
        ],
    )
    def test_of_shipped_rules(self, current, site, code, text, action):
        advice = current.advice(site, Reply(code, text))

        assert (advice and advice.action) == action

    def test_accepted_mail_needs_none(self, current):
        assert current.advice("qq", Reply(250, "Ip frequency limited")) is None

    def test_carries_how_long_and_why(self, current):
        advice = current.advice("yahoo", Reply(421, "4.7.0 [TSS05]\nMessages deferred"))

        assert advice == shaping.Advice(SUSPEND, 4 * 3600, "Yahoo defers all our mails after complaints of its users.")

    def test_lowest_position_counts_and_own_rules_come_first(self, shipped, now):
        qq = Provider.objects.get(name="qq")
        for provider, position, action in ((None, 0, FAIL), (qq, 7, FAIL), (qq, 6, RETRY), (qq, 8, FAIL)):
            ReplyRule.objects.create(provider=provider, position=position, pattern="xyzzy", action=action, reason="-")
        ReplyRule.objects.create(provider=qq, position=0, pattern="xyzzy", action=FAIL, reason="-", enabled=False)

        current = shaping.current(now)

        assert current.advice("qq", Reply(450, "XYZZY")).action == RETRY
        assert current.advice("sina", Reply(450, "XYZZY")).action == FAIL

    def test_pattern_that_cannot_be_used_is_left_out(self, shipped, now):
        ReplyRule.objects.create(pattern="(", position=0, action=FAIL, reason="-")
        ReplyRule.objects.create(pattern="xyzzy", position=0, action=FAIL, reason="-")

        assert shaping.current(now).advice("shop.test", Reply(450, "xyzzy")).action == FAIL

    def test_reply_in_no_charset(self, current):
        assert current.advice("qq", Reply(550, "\udce4\ud800 Ip frequency limited")).action == SUSPEND


class TestShipped:
    def test_patterns_and_figures_pass_what_operators_must_pass(self, shipped):
        for row in (*Provider.objects.all(), *ReplyRule.objects.all()):
            row.full_clean()

        assert (Provider.objects.count(), ReplyRule.objects.count()) == (len(PROVIDERS), len(RULES))

    def test_edited_rows_survive_an_upgrade(self, shipped):
        Provider.objects.filter(name="qq").update(connections=9)
        ReplyRule.objects.filter(key="qq-ip").update(enabled=False, seconds=5)

        providers.ship(Provider, ReplyRule)

        assert Provider.objects.get(name="qq").connections == 9
        assert ReplyRule.objects.filter(key="qq-ip", enabled=False, seconds=5).exists()

    def test_restored_rows_are_as_shipped_and_own_rules_stay(self, shipped):
        qq = Provider.objects.get(name="qq")
        before = list(ReplyRule.objects.values())
        Provider.objects.filter(name="qq").update(connections=9, enabled=False)
        ReplyRule.objects.filter(key="qq-ip").update(enabled=False, seconds=5)
        own = ReplyRule.objects.create(provider=qq, pattern="own", action=FAIL, reason="-")

        providers.restore(qq, ReplyRule)

        qq.refresh_from_db()
        assert (qq.connections, qq.enabled) == (4, True)
        assert list(ReplyRule.objects.exclude(pk=own.pk).values()) == before
        assert ReplyRule.objects.filter(pk=own.pk).exists()


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "missing )"),
        ("(?=a)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("(a{1,1000}){1,1000}", "invalid repetition size"),
        ("a*", "fits every reply"),
        ("", "fits every reply"),
        ("(a+)+$", ""),
        ("频率|421", ""),
    ],
)
def test_patterns_are_looked_at_before_they_are_used(pattern, words):
    problem = pattern_problem(pattern)

    assert words in problem
    assert bool(words) == bool(problem)
