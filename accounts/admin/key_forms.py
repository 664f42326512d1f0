"""The forms of API keys: a new one, and for how long the old secret of a rotated one works."""

from dataclasses import replace
from typing import Any, Final

from django import forms
from django.db.models import Model

from accounts.admin.base import ActingForm
from accounts.admin.scopes import ScopesField
from accounts.errors import InvalidInputError, Problem
from accounts.keys import api_keys, scopes
from accounts.models.api_key import MOST_REQUESTS, ApiKey
from accounts.models.role import PUBLIC, Role

PLACES: Final = {"/allowed_networks": "/network_lines"}  # where the form has what the verb names


class AddKeyForm(ActingForm):
    """A key of an existing owner, or of a new service account with one role."""

    role = forms.ModelChoiceField(
        Role.objects.exclude(key=PUBLIC).order_by("name"),
        required=False,
        help_text="Makes a service account with this role to own the key. Or name an owner.",
    )
    scopes = ScopesField(
        help_text="What its owner’s rights don’t cover stays closed. Here is what you may hand out yourself."
    )
    network_lines = forms.CharField(
        label="Allowed networks",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line, such as 192.0.2.0/24. Empty means from anywhere.",
    )

    # One input of the browser's own, not the stock admin's two, which have no labels.
    expires_at = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        help_text="In UTC. Empty means in 90 days; at most a year.",
    )
    rate_limit = forms.IntegerField(
        label="Requests a minute",
        required=False,
        min_value=1,
        max_value=MOST_REQUESTS,
        help_text="Empty means what its owner’s roles allow, or what everybody has.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "owner", "browser")
        labels = {"browser": "May be used by web pages"}
        help_texts = {"browser": "Whoever opens such a page can read the key: let it do what anybody may."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "owner" in self.fields:
            self.fields["owner"].required = False
        scopes = self.fields.get("scopes")
        if isinstance(scopes, ScopesField):
            scopes.offer(self.principal)

    def act(self, data: dict[str, Any]) -> Model:
        if bool(data["role"]) == bool(data["owner"]):
            raise forms.ValidationError("Name either an owner or a role.")
        options = {
            "name": data["name"],
            "scopes": scopes.parse_scopes(data["scopes"]),
            "expires_at": data["expires_at"],
            "allowed_networks": data["network_lines"].split(),
            "browser": data["browser"],
            "rate_limit": data["rate_limit"],
            "by": self.principal,
        }
        try:
            if data["role"]:
                self.minted = api_keys.mint_for_role(data["role"].key, **options)
            else:
                self.minted = api_keys.mint(data["owner"], **options)
        except InvalidInputError as error:
            raise InvalidInputError(error.detail, errors=[_placed(item) for item in error.errors]) from error
        return self.minted.key


def _placed(problem: Problem) -> Problem:
    for theirs, ours in PLACES.items():
        if problem.pointer and problem.pointer.startswith(theirs):
            number = problem.pointer.rpartition("/")[2]
            line = f"Line {int(number) + 1}: " if number.isdecimal() else ""
            return replace(problem, pointer=ours, detail=f"{line}{problem.detail}")
    return problem


class OverlapForm(forms.Form):
    """For how long both secrets work."""

    overlap_hours = forms.IntegerField(
        label="Hours for which the old secret still works",
        min_value=0,
        max_value=720,
        initial=24,
        help_text="0 to 720. With 0 it is dead at once.",
    )
