"""The operations in one table: what answers them, and how often an account may call them.

What DirectMail documents no limit for has `limits.USUAL`. Those that have gone from DirectMail, or cannot exist on
one's own machines, answer with a code that says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mailpush.rpc.actions import (
    accounts,
    config_sets,
    domains,
    ips,
    receivers,
    senders,
    sending,
    suppressions,
    tags,
    tasks,
    templates,
    validation,
)
from mailpush.rpc.caller import Caller
from mailpush.rpc.errors import ApiError
from mailpush.rpc.fields import Fields
from mailpush.rpc.limits import USUAL, Limit
from mailpush.rpc.params import Params

# Regions outside China and older documents use other dates for the same operations.
VERSIONS = frozenset({"2015-11-23", "2017-06-22", "2016-08-25"})
UPLOAD_VERSION = "2019-12-19"  # the SDKs ask another product for a place to upload to


@dataclass(frozen=True, slots=True)
class Operation:
    run: Callable[[Caller, Params], Fields]
    limit: Limit = USUAL


def operation(action: str, version: str) -> Operation:
    """Return the operation.

    :raises ApiError: there is none of that name, or none any more.
    """
    if version not in VERSIONS and (action, version) != ("AuthorizeFileUpload", UPLOAD_VERSION):
        raise ApiError("InvalidVersion")
    if action in GONE:
        raise ApiError("OperationUnsupported.Gone", GONE[action])
    if action not in OPERATIONS:
        raise ApiError("InvalidAction.NotFound")
    return OPERATIONS[action]


OPERATIONS: dict[str, Operation] = {
    # Domains
    "CreateDomain": Operation(domains.create_domain),
    "DeleteDomain": Operation(domains.delete_domain),
    "CheckDomain": Operation(domains.check_domain, Limit(10, 60)),
    "DescDomain": Operation(domains.desc_domain),
    "QueryDomainByParam": Operation(domains.query_domain_by_param),
    "ChangeDomainDkimRecord": Operation(domains.change_domain_dkim_record),
    "ModifyPWByDomain": Operation(senders.modify_pw_by_domain),
    # Sender addresses
    "CreateMailAddress": Operation(senders.create_mail_address),
    "ModifyMailAddress": Operation(senders.modify_mail_address, Limit(300, 60)),
    "DeleteMailAddress": Operation(senders.delete_mail_address, Limit(10)),
    "QueryMailAddressByParam": Operation(senders.query_mail_address_by_param, Limit(5)),
    "CheckReplyToMailAddress": Operation(senders.check_reply_to_mail_address),
    "ApproveReplyMailAddress": Operation(senders.approve_reply_mail_address, Limit(5)),
    # Tags
    "CreateTag": Operation(tags.create_tag, Limit(30, 10)),
    "ModifyTag": Operation(tags.modify_tag),
    "DeleteTag": Operation(tags.delete_tag),
    "QueryTagByParam": Operation(tags.query_tag_by_param),
    # Recipient lists
    "CreateReceiver": Operation(receivers.create_receiver, Limit(10, 60)),
    "DeleteReceiver": Operation(receivers.delete_receiver),
    "QueryReceiverByParam": Operation(receivers.query_receiver_by_param),
    "SaveReceiverDetail": Operation(receivers.save_receiver_detail),
    "DeleteReceiverDetail": Operation(receivers.delete_receiver_detail, Limit(20)),
    "QueryReceiverDetail": Operation(receivers.query_receiver_detail, Limit(2)),
    # Templates
    "CreateTemplate": Operation(templates.create_template),
    "ModifyTemplate": Operation(templates.modify_template, Limit(2)),
    "DeleteTemplate": Operation(templates.delete_template, Limit(10)),
    "DescTemplate": Operation(templates.desc_template, Limit(20)),
    "QueryTemplateByParam": Operation(templates.query_template_by_param, Limit(20)),
    "ApproveTemplate": Operation(templates.approve_template),
    # Sending
    "SingleSendMail": Operation(sending.single_send_mail, Limit(100)),
    "BatchSendMail": Operation(sending.batch_send_mail, Limit(20, 60)),
    "SendTestByTemplate": Operation(sending.send_test_by_template, Limit(60, 60)),
    "AuthorizeFileUpload": Operation(accounts.authorize_file_upload),
    # What became of it
    "QueryTaskByParam": Operation(tasks.query_task_by_param),
    "SenderStatisticsByTagNameAndBatchID": Operation(tasks.sender_statistics),
    "SenderStatisticsDetailByParam": Operation(tasks.sender_statistics_detail, Limit(500, 60)),
    "GetTrackList": Operation(tasks.get_track_list),
    "GetTrackListByMailFromAndTagName": Operation(tasks.get_track_list_by_tag, Limit(60, 60)),
    # Addresses that get nothing
    "QueryInvalidAddress": Operation(suppressions.query_invalid_address),
    "DeleteInvalidAddress": Operation(suppressions.delete_invalid_address),
    "ListUserSuppression": Operation(suppressions.list_user_suppression),
    "CreateUserSuppression": Operation(suppressions.create_user_suppression),
    "RemoveUserSuppression": Operation(suppressions.remove_user_suppression),
    "GetSuppressionListLevel": Operation(suppressions.get_suppression_list_level),
    "SetSuppressionListLevel": Operation(suppressions.set_suppression_list_level),
    "ListBlockSending": Operation(suppressions.list_block_sending),
    "UnblockSending": Operation(suppressions.unblock_sending),
    # The account
    "DescAccountSummary": Operation(accounts.desc_account_summary, Limit(10, 60)),
    "GetUser": Operation(accounts.get_user),
    "UpdateUser": Operation(accounts.update_user),
    "GetIpfilterList": Operation(accounts.get_ipfilter_list, Limit(60, 60)),
    "AddIpfilter": Operation(accounts.add_ipfilter),
    "DeleteIpfilterByEdmId": Operation(accounts.delete_ipfilter),
    "GetIpProtection": Operation(accounts.get_ip_protection),
    "UpdateIpProtection": Operation(accounts.update_ip_protection, Limit(60, 60)),
    # Examining addresses
    "ValidateEmail": Operation(validation.validate_email, Limit(50)),
    "CheckDisposable": Operation(validation.check_disposable),
    "SendValidateFile": Operation(validation.send_validate_file),
    "GetValidateFile": Operation(validation.get_validate_file),
    "GetValidateFileStatus": Operation(validation.get_validate_file_status, Limit(10)),
    "ListValidateFile": Operation(validation.list_validate_file),
    "DeleteValidateFile": Operation(validation.delete_validate_file),
    "GetValidationQuota": Operation(validation.get_validation_quota),
    # Dedicated source addresses and configuration sets
    "DedicatedIpList": Operation(ips.dedicated_ip_list),
    "DedicatedIpNonePoolList": Operation(ips.dedicated_ip_none_pool_list),
    "DedicatedIpChangeWarmupType": Operation(ips.dedicated_ip_change_warmup_type),
    "GetDedicatedIpWarmUpInfo": Operation(ips.warm_up_info),
    "GetDedicatedIpWarmUpDetail": Operation(ips.warm_up_detail),
    "DedicatedIpPoolCreate": Operation(ips.dedicated_ip_pool_create),
    "DedicatedIpPoolUpdate": Operation(ips.dedicated_ip_pool_update),
    "DedicatedIpPoolDelete": Operation(ips.dedicated_ip_pool_delete),
    "DedicatedIpPoolList": Operation(ips.dedicated_ip_pool_list),
    "ConfigSetCreate": Operation(config_sets.config_set_create),
    "ConfigSetUpdate": Operation(config_sets.config_set_update),
    "ConfigSetDelete": Operation(config_sets.config_set_delete),
    "ConfigSetDetail": Operation(config_sets.config_set_detail),
    "ConfigSetList": Operation(config_sets.config_set_list),
    "ConfigSetRelationFromAddress": Operation(config_sets.config_set_relation),
    "ConfigSetCancelRelationFromAddress": Operation(config_sets.config_set_cancel_relation),
}

SMS = "DirectMail has given up SMS, and mailpush never had it."
SENDIFY = "Sendify is a product of its own that mailpush has not: use the console."
NOTIFICATIONS = "Notifications by region went with DirectMail's older API: have events delivered to webhooks."
GONE: dict[str, str] = {
    "ApproveMailTemplate": "Use ApproveTemplate, which submits a template for review.",
    "ApproveSmsTemplate": SMS,
    "CheckInvalidAddress": "Use QueryInvalidAddress.",
    "CreateDayu": SMS,
    "CreateSign": SMS,
    "DeleteSign": SMS,
    "DescAccountSummary2": "Use DescAccountSummary.",
    "EnableAccount": "Accounts are enabled by the operators of this server.",
    "GetAccountList": NOTIFICATIONS,
    "GetMailAddressMsgCallBackUrl": NOTIFICATIONS,
    "GetRegionList": "This server is one region.",
    "GetSenderAddressList": NOTIFICATIONS,
    "MigrateMarket": SMS,
    "ModifyAccountNotification": NOTIFICATIONS,
    "ModifySenderAddressNotification": NOTIFICATIONS,
    "QuerySignByParam": SMS,
    "QuerySmsStatistics": SMS,
    "SingleSendSms": SMS,
    "UpdateDomainTrackName": "The tracking host of a domain is fixed: see DescDomain.",
    "UpdateMailAddressMsgCallBackUrl": NOTIFICATIONS,
    "GetSendifyInfo": SENDIFY,
    "GetSendifyAutoLoginURL": SENDIFY,
    "OpenSendifyTrialService": SENDIFY,
    "DedicatedIpAutoRenewal": "Source addresses are this server's own; nothing is rented, so nothing is renewed.",
}
