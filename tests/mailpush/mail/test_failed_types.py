import pytest

from mailpush.mail.failed_types import failed_type
from mailpush.mail.replies import Failure, Reply, classify


@pytest.mark.parametrize(
    ("code", "text", "word"),
    [
        (550, "5.1.1 User unknown", "SmtpNxBox"),
        (552, "5.2.2 Mailbox full", "SmtpZPermErr"),
        (550, "Mail content denied", "SmtpContSpam"),
        (550, "Sender frequency limited", "SmtpMfFreq"),
        (550, "Domain frequency limited", "SmtpMfdFreq"),
        (550, "Ip frequency limited", "SmtpIPFreq"),
        (550, "RP:ORQ 163 mx2 recipient frequency", "SmtpRcptFreq"),
        (554, "HL:ITC 163 mx9", "SmtpMfLimit"),
        (421, "4.7.0 Too many connections", "SysOutConnTooMuch"),
        (550, "5.7.26 DMARC check failed", "SmtpDmaFail"),
        (553, "MI:SPF 163 http://mail.example", "SmtpSpfFail"),
        (550, "5.7.1 authentication required", "SmtpAuthFail"),
        (554, "5.7.1 blocked using zen.example", "SmtpDbl"),
        (553, "5.1.8 Sender address rejected: domain not found", "SmtpMfBad"),
        (554, "5.7.1 Relay access denied", "SmtpMiscSpam"),
        (550, "5.1.2 domain not found", "SysOutDnsResolveFail"),
        (554, "Transaction failed", "SmtpZPermErr"),
    ],
)
def test_word_for_a_reply(code, text, word):
    assert failed_type(classify(Reply(code, text)), text) == word


def test_words_without_a_reply():
    assert failed_type("") == "SendOk"
    assert failed_type(Failure.INFRASTRUCTURE, "connect: timed out") == "SysOutConnError"
    assert failed_type("a class of later") == "SmtpZPermErr"


@pytest.mark.parametrize("failure", list(Failure))
def test_every_class_has_a_word(failure):
    assert failed_type(failure)
