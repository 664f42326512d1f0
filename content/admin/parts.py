"""One more part of a component or a list of blocks, as markup for a form that is open."""

import re

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from accounts.access import Action
from accounts.errors import NotFoundError
from content import fields
from content.admin.choices import Choices
from content.admin.desk import Desk
from content.admin.entry_form import language_of
from content.admin.pages import page, query
from content.fields.forms import MAX_ROWS, written_in
from content.fields.nested_forms import widget_at

_NAME = re.compile(r"f-([a-z][a-z0-9_]{0,40})((?:-[0-9]{1,4}-[a-z][a-z0-9_]{0,40}){0,6})")


@page
@require_POST
def part(request: HttpRequest, key: str) -> HttpResponse:
    """Return a part with number `number` of the nested field `name`, made of `component`.

    It holds what was typed under its names, if anything was sent with it, else the defaults. Nothing of any entry is
    told: only what the form of a new one would show.
    """
    query(request)
    desk = Desk.of(request)
    writing = desk.writing(key)
    collection = writing.collection
    name, number = request.POST.get("name", ""), request.POST.get("number", "")
    found = _NAME.fullmatch(name)
    spec = collection.by_key.get(found[1]) if found else None
    grants = (
        desk.principal.grant(action, on=collection.resource) for action in (Action.CREATE, Action.UPDATE)
    )
    if spec is None or not any(grant.allows(spec) for grant in grants):
        raise NotFoundError
    choices = Choices(desk.schema, desk.principal, collection, {}, request.POST)
    language = language_of(spec, writing, request.POST.get("locale"))
    outermost = written_in(fields.get(spec.type).form_field(spec, choices), language)
    widget = widget_at(name, outermost, request.POST)
    component = widget.component_of(request.POST.get("component")) if widget else None
    if (
        widget is None
        or component is None
        or not re.fullmatch(r"[0-9]{1,3}", number)
        or int(number) >= MAX_ROWS
    ):
        raise NotFoundError
    return HttpResponse(widget.draw_new(name, int(number), component, request.POST))
