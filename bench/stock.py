"""What the editors' form is compared with: Django's own ModelAdmin, with as many fields of as many kinds.

A model with a field for each of the 60 (the component's four stand for themselves), and for the blocks three inlines,
one for each kind, of 40 rows together. References are foreign keys with the admin's own autocomplete: a plain select
would list every row there is. Nobody has rights here, nothing has versions, and no field has a script of its own.
The tables are made by `bench.load`, in databases that are thrown away; nothing of this is in the product.
"""

from typing import Any, ClassVar

from django.contrib import admin
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.test import Client
from django.test.utils import override_settings

from bench import corpus, wide
from bench.models import LABEL, PAGE_COLUMNS, ROW_COLUMNS, ROWS, Page, Target
from bench.plain import MIDDLEWARE

TARGETS = corpus.AUTHORS
ENGINE = "stock"  # templates without ours: `bench.settings`


class Open:
    """Everything is allowed: the stock admin is measured without what rights cost."""

    def has_module_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 (Django's)
        return True

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission = (
        lambda self, request, obj=None: True  # noqa: ARG005 (Django's)
    )


def references(columns: dict[str, str]) -> list[str]:
    """Return the foreign keys."""
    return [key for key, kind in columns.items() if kind in {"reference", "references"}]


class TargetAdmin(Open, admin.ModelAdmin[Target]):
    """Autocomplete asks for a search."""

    search_fields = ("name",)


class PageAdmin(Open, admin.ModelAdmin[Any]):
    """The form, by the templates that Django brings."""

    autocomplete_fields = references(PAGE_COLUMNS)
    inlines: ClassVar = [
        type(
            f"{key.title()}Inline",
            (Open, admin.StackedInline),
            {"model": row, "extra": 0, "autocomplete_fields": references(ROW_COLUMNS[key])},
        )
        for key, row in ROWS.items()
    ]

    def render_change_form(self, *arguments: Any, **more: Any) -> Any:
        """Render by the engine that knows nothing of ours."""
        response = super().render_change_form(*arguments, **more)
        if isinstance(response, TemplateResponse):
            response.using = ENGINE
        return response


class Site(admin.AdminSite):
    """An admin site with one page, open to everybody."""

    def has_permission(self, request: WSGIRequest | HttpRequest) -> bool:  # noqa: ARG002 (Django's)
        return True


site = Site(name=LABEL)
site.register(Target, TargetAdmin)
site.register(Page, PageAdmin)


def fill() -> None:
    """Write the page with its 40 rows, and what the foreign keys lead to."""
    Target.objects.using("owner").bulk_create(
        Target(pk=pk, name=f"Target {pk}") for pk in range(1, TARGETS + 1)
    )
    values = wide.entry([corpus.NOBODY, corpus.NOBODY, corpus.NOBODY])
    page = Page(pk=1, **{key: stored(kind, inner(values, key)) for key, kind in PAGE_COLUMNS.items()})
    page.save(using="owner", force_insert=True)
    for number, block in enumerate(values["blocks_1"], start=1):
        key = block["_component"]
        columns = {name: stored(kind, block[name]) for name, kind in ROW_COLUMNS[key].items()}
        ROWS[key](pk=number, page=page, **columns).save(using="owner", force_insert=True)


def inner(values: dict[str, Any], key: str) -> Any:
    """Return a value; a component's by the name that its column has."""
    if key in values:
        return values[key]
    outer, _, name = key.rpartition("_")
    return values[outer][name]


def stored(kind: str, value: Any) -> Any:
    """Return a value as its column holds it."""
    if kind in {"reference", "references"}:
        return Target(pk=1)
    return value if isinstance(value, bool | int) else str(value)


def client() -> Client:
    """Return a browser that speaks with the middleware of a new project."""
    made = Client(headers={"host": "localhost"})
    with override_settings(MIDDLEWARE=MIDDLEWARE):
        made.handler.load_middleware()
    return made
