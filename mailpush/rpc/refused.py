"""What services refuse, under DirectMail's codes: the only place that knows both."""

from accounts import quotas
from accounts.actors import NotAllowed
from accounts.services import ip_protection
from domains.services import domains
from mailpush.lib.files import StorageUnavailable
from mailpush.lib.refusals import Refusal
from mailpush.rpc.errors import ApiError
from recipients.services import lists, recipients, suppressions
from senders.services import config_sets, pools, reply_addresses, senders, tags
from sending.services import address_files, batches, inline, posts
from templates_app.services import templates

CODES: dict[type[Refusal], str] = {
    NotAllowed: "Forbidden.RAM",
    StorageUnavailable: "ServiceUnavailable",
    # DirectMail says InvalidSendMail.Spam for quota, rate and content alike, and nobody knows which.
    quotas.QuotaSpent: "InvalidQuota.Exceeded",
    ip_protection.AddressNotAllowed: "Forbidden.IP",
    ip_protection.BadIpRange: "InvalidIP.Malformed",
    ip_protection.IpRangeExists: "InvalidIP.Duplicate",
    ip_protection.TooManyIpRanges: "InvalidIPNumber.Malformed",
    ip_protection.NothingAllowed: "InvalidIpProtection.NothingAllowed",
    domains.NotADomain: "InvalidDomainName.Malformed",
    domains.PublicSuffix: "InvalidDomainName.DuplicateTLD",
    domains.DomainExists: "InvalidDomainName.Duplicate",
    domains.DomainTaken: "InvalidDomainName.Conflict",
    domains.TooManyDomains: "InvalidDomainNumber.Malformed",
    domains.BeingChecked: "CheckDomain.Failed",
    domains.DomainInUse: "InvalidDomain.InUse",
    domains.BadSelector: "InvalidDkimSelector.Malformed",
    senders.WeakPassword: "InvalidPassword.Malformed",
    senders.SamePassword: "InvalidPassword.Duplicate",
    senders.DomainNotFound: "InvalidDomain.NotFound",
    senders.DomainNotVerified: "InvalidDomainStatus.NotVerified",
    senders.BadLocalPart: "InvalidMailAddressName.Malformed",
    senders.UnknownStream: "InvalidMailAddressSendType.Malformed",
    senders.AddressExists: "InvalidMailAddressName.Duplicate",
    reply_addresses.BadReplyAddress: "InvalidReplyAddress.Malformed",
    reply_addresses.NoMailboxThere: "InvalidReplyAddress.NoMailbox",
    reply_addresses.AskedJustNow: "InvalidReplyAddress.AskedJustNow",
    reply_addresses.NothingToConfirm: "InvalidReplyAddress.NothingToConfirm",
    reply_addresses.LinkNotValid: "InvalidTicket.NotFound",
    tags.BadTagName: "InvalidTagName.Malformed",
    tags.TagExists: "InvalidTagName.Duplicate",
    lists.BadListName: "InvalidReceiverName.Malformed",
    lists.BadAlias: "InvalidReceiverAlias.Malformed",
    lists.ListExists: "InvalidReceiverName.Duplicate",
    lists.ListBusy: "InvalidReceiverStatus.Malformed",
    recipients.BadRecipient: "InvalidReceiverDetail.Malformed",
    recipients.RecipientExists: "InvalidReceiverDetail.Duplicate",
    recipients.ValueTooLong: "InvalidReceiverDetail.Malformed",
    recipients.UnknownVariable: "InvalidReceiverDetail.Malformed",
    suppressions.BadAddresses: "InvalidAddress.Malformed",
    suppressions.NoteMissing: "InvalidAddress.Malformed",
    templates.BadName: "InvalidTemplateName.Malformed",
    templates.NameTaken: "InvalidTemplateName.Duplicate",
    templates.BadSubject: "InvalidTemplateSubject.Malformed",
    templates.BadSenderName: "InvalidTemplateNickName.Malformed",
    templates.BadBody: "InvalidTemplateText.Malformed",
    templates.BadVariable: "InvalidTemplateText.Malformed",
    templates.WrongState: "InvalidTemplateStatus.Malformed",
    templates.ChangedMeanwhile: "InvalidTemplateStatus.Malformed",
    batches.SenderNotUsable: "InvalidMailAddressStatus.Malformed",
    batches.TemplateNotApproved: "InvalidTemplateStatus.NotApproved",
    batches.ListEmpty: "InvalidReceiverStatus.Empty",
    posts.BadPost: "InvalidHeaders.Malformed",
    posts.PostTooLarge: "EmailLengthError",
    inline.BadBraces: "InvalidBody.Malformed",
    posts.RecipientRefused: "InvalidToAddress.Refused",
    address_files.TooManyAddressFiles: "InvalidQuota.Exceeded",
    address_files.FileNotFinished: "InvalidFileStatus.NotFinished",
    pools.BadPoolName: "InvalidIpPoolName.Malformed",
    pools.PoolExists: "InvalidIpPoolName.Duplicate",
    pools.AddressNotDedicated: "InvalidIP.NotFound",
    pools.PoolInUse: "InvalidIpPool.InUse",
    config_sets.BadConfigSet: "InvalidConfigSetName.Malformed",
    config_sets.ConfigSetExists: "InvalidConfigSetName.Duplicate",
    config_sets.TooManyConfigSets: "InvalidConfigSetNumber.Malformed",
    config_sets.ConfigSetInUse: "InvalidConfigSet.InUse",
    config_sets.OtherConfigSet: "InvalidConfigSet.Conflict",
}


def as_error(refusal: Refusal) -> ApiError:
    """Return a refusal as the API tells it; one that has no place in the table under its own code."""
    named = "".join(word.title() for word in refusal.code.split("_"))
    return ApiError(CODES.get(type(refusal), f"OperationDenied.{named}"), refusal.message)
