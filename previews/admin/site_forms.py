"""The form of a preview site: where it runs, how its tokens are made, and where entries are shown."""

from dataclasses import replace
from typing import Any, Final

from django import forms
from django.db.models import Model

from accounts.admin.base import ActingForm
from accounts.errors import InvalidInputError, Problem
from previews import sites
from previews.admin.handoff_input import HandoffField, HandoffInput, Row, row_of, rows_of, urls_of
from previews.models import PreviewSite
from previews.models.signing_key import Algorithm
from previews.models.site import DEFAULT, LONGEST, SHORTEST

ALGORITHMS: Final = (
    (
        Algorithm.EDDSA,
        "EdDSA: public keys, small and quick. Take it unless the site’s platform can’t verify it.",
    ),
    (
        Algorithm.ES256,
        "ES256: public keys too, where there is no EdDSA, as in some clouds and older runtimes.",
    ),
    (Algorithm.RS256, "RS256: public keys, long tokens; every platform of the last twenty years knows it."),
    (
        Algorithm.HS256,
        "HS256: one secret shared with the site, where public keys can’t be fetched. You bring each new one there.",
    ),
)
RESPONSE_MODES: Final = (
    (
        PreviewSite.ResponseMode.QUERY,
        "In the address: the browser goes to the site’s handoff URL with a code that works once, for a minute.",
    ),
    (
        PreviewSite.ResponseMode.FORM_POST,
        "In the body of a form: nothing in addresses, histories and logs. The site must take a POST there.",
    ),
)
LOOK_BELOW: Final = "Nothing was saved: look at what is marked here."


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(item) for item in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class SiteForm(ActingForm):
    """A preview site as people set it up."""

    origins = LinesField(
        label="Origins",
        required=False,  # the verb says what is wrong with none
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
        help_text="Where the site runs, one a line, such as https://www.example.com. No paths.",
    )
    handoff_urls = HandoffField(label="Handoff URLs", required=False)
    algorithm = forms.ChoiceField(
        label="Tokens are signed with",
        choices=ALGORITHMS,
        initial=Algorithm.EDDSA,
        widget=forms.RadioSelect,
        required=False,
    )
    response_mode = forms.ChoiceField(
        label="The code reaches the site",
        choices=RESPONSE_MODES,
        initial=PreviewSite.ResponseMode.QUERY,
        widget=forms.RadioSelect,
        required=False,
    )
    ttl_seconds = forms.IntegerField(
        label="A preview lives",
        initial=DEFAULT,
        help_text=f"In seconds, unless its editor asks for another time. {DEFAULT} are {DEFAULT // 60} minutes.",
    )
    max_ttl_seconds = forms.IntegerField(
        label="At most",
        initial=LONGEST,
        help_text=f"In seconds, from {SHORTEST} to {LONGEST}: half an hour.",
    )
    cdn_origin = forms.CharField(
        label="CDN in front of the site",
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text="An origin, if visitors come another way than editors. The leak check asks there as well.",
    )

    class Meta:
        model = PreviewSite
        fields = ("name", "is_embeddable")
        labels = {"is_embeddable": "May be shown beside the form"}
        help_texts = {"is_embeddable": "The site must allow this CMS to frame it (frame-ancestors)."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site: PreviewSite | None = None if self.instance._state.adding else self.instance  # noqa: SLF001 (Django's way)
        self.site = site
        if site is not None:
            shown = ("origins", "algorithm", "response_mode", "ttl_seconds", "max_ttl_seconds", "cdn_origin")
            self.initial.update({name: getattr(site, name) for name in shown})
            self.initial["handoff_urls"] = rows_of(site)
        field = self.fields.get("handoff_urls")
        if isinstance(field, HandoffField):
            field.offer(self.principal, site)

    def act(self, data: dict[str, Any]) -> Model:
        rows: list[Row] = data["handoff_urls"]
        urls, problems = urls_of(rows)
        if problems:
            self._mark(problems)
            raise InvalidInputError(errors=[Problem.at(["handoff_urls"], "invalid", LOOK_BELOW)])
        values: dict[str, Any] = {name: data[name] for name in sites.SETTINGS if name in data}
        try:
            if self.site is None:
                self.made = sites.add(values, urls, by=self.principal)
            else:
                given = None if rows == rows_of(self.site) else urls
                self.made = sites.change(self.site, values, given, by=self.principal)
        except InvalidInputError as error:
            raise InvalidInputError(
                error.detail, errors=self._placed(error, rows, data["origins"])
            ) from error
        return self.made.site

    def _placed(self, error: InvalidInputError, rows: list[Row], origins: list[str]) -> list[Problem]:
        """Return the verb's problems at the inputs of this form; those of rows stand with the rows."""
        found: list[Problem] = []
        marked = []
        for problem in error.errors:
            number = row_of(problem, rows)
            if number is not None:
                marked.append((number, problem.detail))
                continue
            place, _, index = (problem.pointer or "").strip("/").partition("/")
            if place == "origins" and index.isdecimal() and int(index) < len(origins):
                found.append(replace(problem, detail=f"{origins[int(index)][:100]}: {problem.detail}"))
            else:
                found.append(problem)
        if marked:
            self._mark(marked)
            found.append(Problem.at(["handoff_urls"], "invalid", LOOK_BELOW))
        return found

    def _mark(self, problems: list[tuple[int, str]]) -> None:
        widget = self.fields["handoff_urls"].widget
        if isinstance(widget, HandoffInput):
            for number, problem in problems:
                widget.problems.setdefault(number, []).append(problem)
