"""The form of a source: who sends, how it is proven, what is expected, and what is done with it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from django import forms
from django.db.models import Model

from accounts.access import Action, Principal
from accounts.admin.base import ActingForm
from accounts.errors import InvalidInputError, NotAllowedError, Problem
from accounts.models.role import ADMINISTRATOR
from accounts.models.user import User
from accounts.rights.granting import require_to_hold_roles
from content import schema
from content.fields.base import FieldError
from content.fields.json import parsed
from webhooks.incoming import actions, sources
from webhooks.incoming.admin.mapping import lines_of, mapping_of
from webhooks.incoming.options import MOST_TOLERANCE, TOLERANCE
from webhooks.models import Source
from webhooks.models.source import Scheme

SCHEMES: Final = (
    (Scheme.STANDARD, "Standard Webhooks: signed with id and time. Take it where you can choose."),
    (Scheme.GITHUB, "GitHub: X-Hub-Signature-256."),
    (Scheme.STRIPE, "Stripe: Stripe-Signature. Stripe makes the secret."),
    (Scheme.SLACK, "Slack: events of an app. Slack makes the signing secret."),
    (Scheme.HMAC, "HMAC of your own: you say below in which header it comes and what is signed."),
)
DOINGS: Final = (
    (actions.RECORD, "Only record it"),
    ("create", "Create an entry"),
    ("update", "Update the entry that matches"),
    ("create_or_update", "Update the entry that matches, or create one"),
    ("publish", "Publish the entry that matches"),
    ("unpublish", "Take the entry that matches back from the public"),
)
# Options by the names of their inputs. A form has a prefix of its own, which is another thing.
OPTIONS: Final = {
    "tolerance_seconds": "tolerance_seconds",
    "header": "header",
    "encoding": "encoding",
    "text_before": "prefix",
    "algorithm": "algorithm",
    "timestamp_header": "timestamp_header",
    "id_header": "id_header",
    "id_pointer": "id_pointer",
    "signed": "signed",
}
# What the verb names → the input that it stands in.
_PLACES: Final = {
    "action/do": "do",
    "action/collection": "collection",
    "action/locale": "locale",
    "action/when": "when_pointer",
    "action/when/pointer": "when_pointer",
    "action/when/in": "when_values",
    "action/match": "match_field",
    "action/match/field": "match_field",
    "action/match/pointer": "match_pointer",
    "action/mapping": "mapping",
    "action/publish": "publish",
}
_MONO: Final = {"spellcheck": "false", "autocapitalize": "none", "dir": "ltr", "class": "qk-mono"}


def _line(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={**_MONO, "autocomplete": "off", **attrs})


class SourceForm(ActingForm):
    """A source as people set it up."""

    key = forms.CharField(
        max_length=41,
        required=False,
        widget=_line(),
        help_text="Small letters, digits and _. It stands in the address: /hooks/in/shop",
    )
    scheme = forms.ChoiceField(
        label="Proven by", choices=SCHEMES, initial=Scheme.STANDARD, widget=forms.RadioSelect, required=False
    )
    secret = forms.CharField(
        required=False,
        max_length=300,
        widget=_line(),
        help_text="Stripe and Slack show theirs: copy it. Else leave it empty: we make one, and show it once.",
    )
    tolerance_seconds = forms.IntegerField(
        label="Seconds that a time may be off",
        required=False,
        help_text=f"From 30 to {MOST_TOLERANCE}; empty means {TOLERANCE}. GitHub signs no time.",
    )
    header = forms.CharField(
        label="Header of the signature",
        required=False,
        max_length=64,
        widget=_line(),
        help_text="Such as X-Signature.",
    )
    encoding = forms.ChoiceField(
        label="Written in", choices=(("", "Hex"), ("base64", "Base64")), required=False
    )
    algorithm = forms.ChoiceField(
        label="Algorithm", choices=(("", "SHA-256"), ("sha512", "SHA-512")), required=False
    )
    text_before = forms.CharField(
        label="Text before it",
        required=False,
        max_length=40,
        widget=_line(),
        strip=False,
        help_text="Such as sha256= in front of each signature.",
    )
    timestamp_header = forms.CharField(
        label="Header of the time",
        required=False,
        max_length=64,
        widget=_line(),
        help_text="Unix seconds. Without a signed time each message is remembered for good.",
    )
    id_header = forms.CharField(label="Header of the id", required=False, max_length=64, widget=_line())
    id_pointer = forms.CharField(
        label="Place of the id in the body",
        required=False,
        max_length=500,
        widget=_line(),
        help_text="Such as /event/id. With neither, a message is known by its body.",
    )
    signed = forms.CharField(
        label="What is signed",
        required=False,
        max_length=100,
        widget=_line(),
        help_text="Of {id}, {timestamp} and {body}, with text between. Empty: {timestamp}.{body}, or {body} alone.",
    )
    schema = forms.CharField(
        label="JSON Schema",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, **_MONO}),
        help_text="Draft 2020-12. What it refuses is not taken; the sender is told why. Empty takes every object.",
    )
    do = forms.ChoiceField(label="What is done", choices=DOINGS, initial=actions.RECORD, required=False)
    account = forms.ChoiceField(
        label="As the service account",
        required=False,
        help_text="Its rights are all that the source has. Here are those that are no more than you; another one is "
        "made under Service accounts.",
    )
    collection = forms.ChoiceField(label="Collection", required=False)
    locale = forms.ChoiceField(label="Language", required=False)
    when_pointer = forms.CharField(
        label="Only where the value at",
        required=False,
        max_length=500,
        widget=_line(),
        help_text="A place in the payload, such as /action. Empty: every message is meant.",
    )
    when_values = forms.CharField(
        label="Is one of",
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 2, **_MONO}),
        help_text="A line for each: a text, a number, true or false. Other messages are recorded, and nothing is done.",
    )
    match_field = forms.CharField(
        label="Matches by the field",
        required=False,
        max_length=41,
        widget=_line(),
        help_text="The key of a slug, or of a field whose values are unique.",
    )
    match_pointer = forms.CharField(
        label="Whose value stands at",
        required=False,
        max_length=500,
        widget=_line(),
        help_text="A place in the payload, such as /data/slug.",
    )
    mapping = forms.CharField(
        label="Fields",
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 5, "placeholder": 'title = /data/title\nkind = "imported"', **_MONO}
        ),
        help_text=(
            "A line for each: the field, = and the place of its value, or the value itself in quotes. "
            "What a payload lacks stays as it is."
        ),
    )
    publish = forms.BooleanField(label="Publish it at once", required=False)

    class Meta:
        model = Source
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source: Source | None = None if self.instance._state.adding else self.instance  # noqa: SLF001 (Django's way)
        self.source = source
        self._offer(source)
        if source is None:
            return
        for name in ("key", "scheme", "secret"):  # they stay, or have a page of their own
            self.fields.pop(name, None)
        action = actions.shown(source.action)
        match = action.get("match", {})
        known = {
            **{name: source.options[option] for name, option in OPTIONS.items() if option in source.options},
            "encoding": "base64" if source.options.get("encoding") == "base64" else "",
            "schema": json.dumps(source.schema, indent=2, ensure_ascii=False)
            if source.schema is not None
            else "",
            "do": action["do"],
            "account": str(source.account_id or ""),
            "collection": action.get("collection", ""),
            "locale": action.get("locale", ""),
            "when_pointer": action.get("when", {}).get("pointer", ""),
            "when_values": "\n".join(_line_of(value) for value in action.get("when", {}).get("in", [])),
            "match_field": match.get("field", ""),
            "match_pointer": match.get("pointer", ""),
            "mapping": lines_of(action.get("mapping", {})),
            "publish": action.get("publish", False),
        }
        self.initial.update(known)

    def _offer(self, source: Source | None) -> None:
        """Fill the choices with what this person may choose, and with what is chosen already."""
        present = schema.current()
        collections = [
            (item.key, item.name)
            for item in present.collections
            if item.has_entries and _sees(self.principal, item)
        ]
        action = actions.shown(source.action) if source is not None else {}
        chosen = action.get("collection")
        if chosen and chosen not in dict(collections):
            collections.append((chosen, chosen))
        accounts = accounts_for(self.principal)
        if source is not None and source.account is not None and source.account not in accounts:
            accounts.append(source.account)
        self._choose("collection", collections)
        self._choose("locale", [(item.code, item.name) for item in present.locales], "The default one")
        self._choose(
            "account",
            [(str(item.pk), f"{item} ({', '.join(item.role_keys) or 'no role'})") for item in accounts],
        )

    def _choose(self, name: str, choices: Iterable[tuple[str, str]], nothing: str = "None") -> None:
        field = self.fields.get(name)
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", nothing), *choices]

    def act(self, data: dict[str, Any]) -> Model:
        mapping, problems = mapping_of(data["mapping"])
        expected, wrong = _schema_of(data["schema"])
        if problems or wrong:
            raise InvalidInputError(errors=[*problems, *wrong])
        values = {
            "options": {
                option: data[name] for name, option in OPTIONS.items() if data.get(name) not in (None, "")
            },
            "schema": expected,
            "action": _action_of(data, mapping),
            "account": data["account"] or None,
        }
        try:
            if self.source is None:
                secret = data["secret"].strip() or None
                self.made = sources.add(data["key"], data["scheme"], values, secret=secret, by=self.principal)
                return self.made.source
            if values["account"] == str(self.source.account_id or "") or (
                values["account"] is None and self.source.account_id is None
            ):
                del values["account"]
            return sources.change(self.source, values, by=self.principal)
        except InvalidInputError as error:
            raise InvalidInputError(error.detail, errors=[_placed(item) for item in error.errors]) from error


def accounts_for(by: Principal) -> list[User]:
    """Return the service accounts that a source may act as, as far as this person may let it."""
    found = []
    for account in User.objects.filter(is_service=True, is_active=True).order_by("name", "pk"):
        if ADMINISTRATOR in account.role_keys:
            continue
        try:
            require_to_hold_roles(by, account.role_keys)
        except NotAllowedError:
            continue
        found.append(account)
    return found


def _sees(by: Principal, collection: Any) -> bool:
    rights = (Action.READ_DRAFT, Action.CREATE, Action.UPDATE, Action.READ)
    return any(by.grant(right, on=collection.resource) for right in rights)


def _schema_of(text: str) -> tuple[Any, list[Problem]]:
    if not text.strip():
        return None, []
    try:
        return parsed(text), []
    except FieldError as error:
        return None, [replace(item, pointer="/schema") for item in error.problems]


def _action_of(data: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    """Return the action that was typed; what is not of use for it is sent all the same, so that the verb says so."""
    found: dict[str, Any] = {"do": data["do"] or actions.RECORD}
    if data["when_pointer"] or data["when_values"].strip():
        lines = [line.strip() for line in data["when_values"].splitlines() if line.strip()]
        found["when"] = {"pointer": data["when_pointer"], "in": [_scalar(line) for line in lines]}
    if data["match_field"] or data["match_pointer"]:
        found["match"] = {"field": data["match_field"], "pointer": data["match_pointer"]}
    if mapping:
        found["mapping"] = mapping
    for name in ("collection", "locale"):
        if data[name]:
            found[name] = data[name]
    if data["publish"]:
        found["publish"] = True
    return found


def _scalar(line: str) -> str | int:
    """Return what a line means: a number, true or false, a text in quotes, or else the very text."""
    try:
        value = json.loads(line)
    except ValueError:
        return line
    return value if isinstance(value, str | int) else line


def _line_of(value: str | int) -> str:
    is_plain = isinstance(value, str) and value and _scalar(value) == value and value.strip() == value
    return value if is_plain and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _placed(problem: Problem) -> Problem:
    """Return a problem of the verb at the input that it is about."""
    path = (problem.pointer or "").strip("/")
    if path.startswith("options/"):
        names = {option: name for name, option in OPTIONS.items()}
        return replace(problem, pointer=f"/{names.get(path.split('/')[1], '')}")
    if path.startswith("action/mapping/"):
        field = path.split("/")[2]
        return replace(problem, pointer="/mapping", detail=f"{field}: {problem.detail}")
    if path.startswith("schema/"):
        return replace(
            problem, pointer="/schema", detail=f"At /{path.removeprefix('schema/')}: {problem.detail}"
        )
    return replace(problem, pointer=f"/{_PLACES[path]}") if path in _PLACES else problem
