"""The form of an endpoint: where it is, what it hears of and as whom, how deliveries are signed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Model
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.access import Principal
from accounts.admin.base import ActingForm
from accounts.errors import InvalidInputError, Problem
from accounts.models.user import User
from webhooks import endpoints, types
from webhooks.admin.examples import Example, examples, kinds
from webhooks.endpoints import Made
from webhooks.models import Endpoint
from webhooks.models.endpoint import Scheme

EVERY, THESE = "every", "these"
ALGORITHMS: Final = (
    (Scheme.V1, "A shared secret (v1, HMAC-SHA256). Every library of Standard Webhooks knows it."),
    (Scheme.V1A, "A public key (v1a, Ed25519). The receiver holds nothing that could sign."),
)
PLACES: Final = {"collection_ids": "collections"}


class TypesInput(forms.CheckboxSelectMultiple):
    """Boxes by kind, with one for all of a kind, and an example of each type. Works without a script."""

    examples: Sequence[Example] = ()

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,  # noqa: ARG002 (Django's signature; ours is a template of the house)
    ) -> SafeString:
        chosen = [str(item) for item in value or ()]
        given = {
            "name": name,
            "id": (attrs or {}).get("id", f"id_{name}"),
            "kinds": kinds(chosen),
            "chosen": chosen,
            "examples": self.examples,
        }
        return render_to_string(
            "admin/webhooks/types_input.html", given | {"invalid": (attrs or {}).get("aria-invalid")}
        )


class EndpointForm(ActingForm):
    """An endpoint as people set it up."""

    url = forms.CharField(
        label="URL",
        max_length=2048,
        widget=forms.URLInput(
            attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off", "dir": "ltr",
                   "placeholder": "https://www.example.com/hooks/cms"}
        ),
        help_text="Where deliveries are posted to.",
    )  # fmt: skip
    types = forms.MultipleChoiceField(
        label="Types", choices=[(name, name) for name in sorted(types.CHOICES)], widget=TypesInput,
        error_messages={"required": "Tick at least one."},
    )  # fmt: skip
    about = forms.ChoiceField(
        label="Of which collections",
        choices=((EVERY, "Of every collection, those made later too"), (THESE, "Only of these:")),
        initial=EVERY,
        widget=forms.RadioSelect,
    )
    collections = forms.MultipleChoiceField(
        label="Collections",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What is about no collection, such as backups, comes either way.",
    )
    owner = forms.ChoiceField(
        label="Listens as",
        help_text="It hears of nothing that this account may not read when a delivery is sent.",
    )
    algorithm = forms.ChoiceField(
        label="Signed with", choices=ALGORITHMS, initial=Scheme.V1, widget=forms.RadioSelect
    )

    class Meta:
        model = Endpoint
        fields = ("name",)
        help_texts = {"name": "For people: what stands behind it, such as “Website, production”."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.endpoint: Endpoint | None = None if self.instance._state.adding else self.instance  # noqa: SLF001 (Django's way)
        seen = sorted(
            endpoints.seen_collections(self.principal).values(), key=lambda item: item.name.casefold()
        )
        self._offer("collections", [(str(item.id), item.name) for item in seen])
        if "types" in self.fields and isinstance(widget := self.fields["types"].widget, TypesInput):
            widget.examples = examples(self.principal)
        self._offer("owner", _owners(self.principal, self.endpoint))
        if self.endpoint is None:
            self.initial.setdefault("owner", str(self.principal.user_id))
        else:
            shown = {
                "url": self.endpoint.url,
                "types": list(self.endpoint.types),
                "about": THESE if self.endpoint.collection_ids else EVERY,
                "collections": [str(item) for item in self.endpoint.collection_ids],
                "owner": str(self.endpoint.owner_id),
                "algorithm": self.endpoint.algorithm,
            }
            self.initial.update(shown)

    def _offer(self, name: str, choices: Any) -> None:
        field = self.fields.get(name)
        if isinstance(field, forms.ChoiceField):
            field.choices = choices

    def act(self, data: dict[str, Any]) -> Model:
        values: dict[str, Any] = {name: data[name] for name in ("name", "url", "types", "algorithm")}
        values["owner"] = endpoints.owner_of(UUID(data["owner"]))
        ids = self._collection_ids(data)
        try:
            if self.endpoint is None:
                self.made = endpoints.add(values | {"collection_ids": ids or []}, by=self.principal)
            else:
                changed = self._changed(values, ids)
                self.made = (
                    endpoints.change(self.endpoint, changed, by=self.principal)
                    if changed
                    else Made(self.endpoint)
                )
        except InvalidInputError as error:
            raise InvalidInputError(error.detail, errors=[_placed(item) for item in error.errors]) from error
        return self.made.endpoint

    def _collection_ids(self, data: dict[str, Any]) -> list[UUID] | None:
        """Return what it is narrowed to; None where that is as it was, with those that the viewer can't see."""
        if data["about"] == EVERY:
            return []
        chosen = set(data["collections"])
        if self.endpoint is not None and self.endpoint.collection_ids:
            offered = {value for value, _ in self.fields["collections"].choices}  # type: ignore[attr-defined]  # a ChoiceField
            if chosen == {str(item) for item in self.endpoint.collection_ids} & offered:
                return None
        if not chosen:
            raise InvalidInputError(
                errors=[
                    Problem.at(["collections"], "required", "Tick at least one, or take every collection.")
                ]
            )
        return [UUID(item) for item in data["collections"]]

    def _changed(self, values: dict[str, Any], ids: list[UUID] | None) -> dict[str, Any]:
        """Return what is not as it was: whoever changes where what goes vouches for it with their own rights."""
        found = {name: value for name, value in values.items() if value != getattr(self.endpoint, name)}
        if sorted(values["types"]) == sorted(self.instance.types):
            found.pop("types", None)
        if ids is not None and sorted(ids) != sorted(self.instance.collection_ids):
            found["collection_ids"] = ids
        return found


def _owners(by: Principal, endpoint: Endpoint | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the accounts that may own it, in two groups; who owns it now is there in any case."""
    people = {user.pk: user for user in endpoints.possible_owners(by)}
    if endpoint is not None:
        people.setdefault(endpoint.owner_id, endpoint.owner)
    listed = sorted(people.values(), key=lambda user: str(user).casefold())
    groups = (("Service accounts", True), ("People", False))
    return [
        (label, [(str(user.pk), _called(user)) for user in listed if user.is_service is is_service])
        for label, is_service in groups
    ]


def _called(user: User) -> str:
    return (user.name if user.is_service else "") or user.email or str(user)


def _placed(problem: Problem) -> Problem:
    """Return a problem of the verb at the input of the form."""
    place, _, rest = (problem.pointer or "").strip("/").partition("/")
    return replace(problem, pointer=f"/{PLACES.get(place, place)}/{rest}") if place in PLACES else problem
