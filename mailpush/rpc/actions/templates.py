"""Mail templates; they are submitted for review as they are written, and by ApproveTemplate once more."""

from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch, minute, paged
from mailpush.rpc.params import Params
from templates_app.models import NAME_LENGTH, Template
from templates_app.services import templates
from templates_app.services.templates import Draft

STATUSES = {
    Template.Status.DRAFT: 0,
    Template.Status.PENDING: 1,
    Template.Status.APPROVED: 2,
    Template.Status.REJECTED: 3,
}
EMAIL = 0  # TemplateType; the others were for SMS


def create_template(caller: Caller, params: Params) -> Fields:
    """Keep a new template and submit it for review: the API has no other call for that."""
    name = params.text("TemplateName")
    draft = Draft(
        name=name,
        subject=params.text("TemplateSubject"),
        sender_name=params.text("TemplateNickName", "") or name,
        html=params.text("TemplateText"),
    )
    template = templates.create(draft, by=caller.by, now=caller.now)
    templates.submit(template, by=caller.by, now=caller.now)
    return {"TemplateId": template.pk}


def modify_template(caller: Caller, params: Params) -> Fields:
    """Change what is given and submit the new content for review; what is approved goes on being sent."""
    template = own(caller, params)
    draft = Draft(
        name=params.text("TemplateName", template.name),
        subject=params.text("TemplateSubject", template.subject),
        sender_name=params.text("TemplateNickName", template.sender_name),
        html=params.text("TemplateText", template.html),
        text=template.text,
    )
    changed = templates.edit(template, draft, by=caller.by, now=caller.now)
    if changed.may_be_submitted:
        templates.submit(changed, by=caller.by, now=caller.now)
    return {}


def approve_template(caller: Caller, params: Params) -> Fields:
    """Submit a draft, or what was rejected, for review."""
    templates.submit(own(caller, params), by=caller.by, now=caller.now)
    return {}


def delete_template(caller: Caller, params: Params) -> Fields:
    templates.delete(own(caller, params), by=caller.by)
    return {}


def desc_template(caller: Caller, params: Params) -> Fields:
    template = own(caller, params)
    return {
        "CreateTime": minute(template.created_at),
        "TemplateName": template.name,
        "TemplateNickName": template.sender_name,
        "TemplateStatus": str(STATUSES[Template.Status(template.status)]),
        "TemplateSubject": template.subject,
        "TemplateText": template.html or template.text,
        "TemplateType": str(EMAIL),
        "Remark": "",
        "SmsContent": "",
        "SmsType": "",
    }


def query_template_by_param(caller: Caller, params: Params) -> Fields:
    rows = Template.objects.for_account(caller.account).without_bodies().order_by("-pk")
    if keyword := params.text("KeyWord", "", most=NAME_LENGTH):
        rows = rows.filter(name__icontains=keyword)
    status = params.optional_number("Status", highest=4)
    if status is not None:
        rows = rows.filter(status__in=[each for each, number in STATUSES.items() if number == status])
    counts, shown = paged(rows, params.page(most=50, usual=20))
    return {**counts, "data": {"template": [_listed(template) for template in shown]}}


def own(caller: Caller, params: Params, name: str = "TemplateId") -> Template:
    """Return the caller's template with the id in a parameter."""
    pk = params.number(name)
    template = Template.objects.for_account(caller.account).select_related("approved").filter(pk=pk).first()
    if template is None:
        raise errors.not_found("Template", f"You have no template with the id {pk}.")
    return template


def _listed(template: Template) -> Fields:
    return {
        "TemplateId": str(template.pk),
        "TemplateName": template.name,
        "TemplateStatus": str(STATUSES[Template.Status(template.status)]),
        "TemplateType": EMAIL,
        "TemplateComment": "",
        "CreateTime": minute(template.created_at),
        "UtcCreatetime": epoch(template.created_at),
        "SmsStatus": 0,
        "SmsTemplateCode": 0,
        "Smsrejectinfo": 0,
    }
