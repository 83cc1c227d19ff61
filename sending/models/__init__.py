"""Contents, batches, messages, the queue's chunks and lanes, providers, the ledger of events, webhooks."""

from sending.models.acceptance import Acceptance
from sending.models.address_file import AddressFile
from sending.models.batch import Batch, Slice
from sending.models.content import AddressType, Content
from sending.models.event import Event
from sending.models.feedback import Feedback
from sending.models.message import Message, Status
from sending.models.provider import Provider, ReplyRule
from sending.models.queue import UNROUTED, Chunk, Destination, Gate, Lane, Turn
from sending.models.reading import LinkCount, Reading
from sending.models.returned import Returned
from sending.models.strict_transport import StrictTransport
from sending.models.webhook import EventKind, Webhook, WebhookCall, WebhookPosition, WebhookTry

__all__ = [
    "UNROUTED",
    "Acceptance",
    "AddressFile",
    "AddressType",
    "Batch",
    "Chunk",
    "Content",
    "Destination",
    "Event",
    "EventKind",
    "Feedback",
    "Gate",
    "Lane",
    "LinkCount",
    "Message",
    "Provider",
    "Reading",
    "ReplyRule",
    "Returned",
    "Slice",
    "Status",
    "StrictTransport",
    "Turn",
    "Webhook",
    "WebhookCall",
    "WebhookPosition",
    "WebhookTry",
]
