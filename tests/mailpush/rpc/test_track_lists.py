"""Opens and clicks, as DirectMail's two operations tell of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from stats.rollups import roll_up
from tests.factories import EventFactory, SenderFactory, TagFactory

pytestmark = pytest.mark.django_db


def test_opens_and_clicks_are_told_by_the_day_of_their_messages(api, account):
    sender = SenderFactory(account=account, domain__account=account)
    tag = TagFactory(account=account, name="autumn")
    today = timezone.now().date()
    about = {"sender": sender, "day": today, "tag": tag}
    EventFactory(**about, n=10)
    EventFactory(**about, was="queued", status="delivered", n=8)
    EventFactory(**about, was="unread", status="opened", n=4, reader="person")
    EventFactory(**about, was="opened", status="opened", n=2, reader="proxy")
    EventFactory(**about, was="unread", status="clicked", n=1, reader="person", url="https://shop.example")
    EventFactory(**about, was="clicked", status="clicked", n=0, reader="machine", url="https://shop.example")
    EventFactory(sender=sender, day=today, was="unread", status="opened", n=5, reader="person")
    roll_up()
    days = {"StartTime": f"{today - timedelta(days=1)}", "EndTime": f"{today}"}

    whole = api("GetTrackList", AccountName=sender.address, **days)
    tagged = api("GetTrackListByMailFromAndTagName", AccountName=sender.address, TagName="autumn", **days)

    assert tagged["TrackList"]["Stat"] == [
        {
            "CreateTime": f"{today}T00:00Z",
            "TotalNumber": "10",
            "RcptOpenCount": "6",
            "RcptOpenRate": "75.00%",
            "RcptUniqueOpenCount": "4",
            "RcptUniqueOpenRate": "50.00%",
            "RcptClickCount": "1",
            "RcptClickRate": "12.50%",
            "RcptUniqueClickCount": "1",
            "RcptUniqueClickRate": "12.50%",
        }
    ]
    assert whole["data"]["stat"][0]["RcptUniqueOpenCount"] == "9"


def test_strangers_are_told_nothing(foreign_api, account):
    sender = SenderFactory(account=account, domain__account=account)
    today = timezone.now().date()

    code = foreign_api.refusal("GetTrackList", AccountName=sender.address, StartTime=f"{today}", EndTime=f"{today}")

    assert code == "InvalidMailAddress.NotFound"
