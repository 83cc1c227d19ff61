"""Tags."""

from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, paged
from mailpush.rpc.params import Params
from senders.models import TAG_LENGTH, Tag
from senders.services import tags


def create_tag(caller: Caller, params: Params) -> Fields:
    tag = tags.create(
        params.text("TagName"), description=params.text("TagDescription", ""), by=caller.by, now=caller.now
    )
    return {"TagId": str(tag.pk)}


def modify_tag(caller: Caller, params: Params) -> Fields:
    tag, name = _own(caller, params), params.text("TagName")
    tags.change(tag, name=name, description=params.text("TagDescription", tag.description), by=caller.by)
    return {}


def delete_tag(caller: Caller, params: Params) -> Fields:
    tags.delete(_own(caller, params), by=caller.by, now=caller.now)
    return {}


def query_tag_by_param(caller: Caller, params: Params) -> Fields:
    rows = Tag.objects.for_account(caller.account).order_by("-pk")
    if keyword := params.text("KeyWord", "", most=TAG_LENGTH):
        rows = rows.filter(name__icontains=keyword)
    counts, shown = paged(rows, params.page(most=500, usual=10))
    listed = [{"TagId": str(tag.pk), "TagName": tag.name, "TagDescription": tag.description} for tag in shown]
    return {**counts, "data": {"tag": listed}}


def _own(caller: Caller, params: Params) -> Tag:
    pk = params.number("TagId")
    tag = Tag.objects.for_account(caller.account).filter(pk=pk).first()
    if tag is None:
        raise errors.not_found("Tag", f"You have no tag with the id {pk}.")
    return tag
