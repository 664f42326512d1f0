"""Every page of the admin, by GET and by POST, with a request that those succeed with who may send it."""

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from accounts import people
from accounts.log import seal_pending
from accounts.models import Alert, ApiKey, Event, Policy, Role, Session, User
from accounts.principals import anonymous
from content import editing
from content.forms.submitting import submit
from content.models import Entry
from previews.models import Preview, PreviewSite, SigningKey
from tests.accounts.cast import Person, make_person
from tests.arranged import arranged
from tests.builders import (
    PASSWORD,
    ROOT,
    allow,
    make_alert,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
    writing,
)
from tests.content.admin.conftest import sign_in
from tests.content.forms.world import make_form
from tests.previews.world import make_preview, make_site
from tests.security.world import World, build_world
from tests.webhooks.incoming.world import make_failed_receipt, make_source
from tests.webhooks.world import make_delivery, make_endpoint
from webhooks.models import Delivery, Endpoint, Receipt, Source

ADMIN = "admin/"
ENTRY = "content/<str:key>/<uuid:name>/"
ONE = "<path:object_id>/"

# Who is let in. Edith works on what is shown of articles, Walter on what he wrote, Audrey reads every draft and
# no more; Norman's role gives nothing; Rolf has no role, so the admin is closed to him as to people outside.
ADA, EDITH, WALTER, AUDREY, NORMAN = "ada", "edith", "walter", "audrey", "norman"
STAFF = (ADA, EDITH, WALTER, AUDREY, NORMAN)
SEERS = (ADA, EDITH, WALTER, AUDREY)
WRITERS = (ADA, EDITH, WALTER)
EDITORS = (ADA, EDITH)
OUTSIDE = ("rolf", "mallory")
EVERYBODY = (*STAFF, *OUTSIDE)
NOBODY: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visit:
    """One request: who may send it, and what they are answered. Everybody else is refused."""

    method: str
    route: str
    path: str
    data: dict[str, Any] = field(default_factory=dict)
    who: tuple[str, ...] = ()
    status: int = 200

    def send(self, browser: Client, **headers: str) -> Any:
        send = browser.get if self.method == "GET" else browser.post
        answer = send(f"/{ADMIN}{self.path}", self.data, headers=headers)
        if answer.streaming:
            answer.close()  # a browser would read it to its end
        return answer


@dataclass
class Cast:
    """Everybody's browser, and what there is to be asked about."""

    world: World
    people: dict[str, Person] = field(default_factory=dict)
    browsers: dict[str, Client] = field(default_factory=dict)


def make_cast() -> Cast:
    """Return a world in which everybody is signed in."""
    return arranged("cast", build_cast)


def build_cast() -> Cast:
    """Write the rows of the world, and sign everybody in."""
    world = build_world()
    make_role("auditor", {"actions": ("read", "read_draft")})
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    people = {
        ADA: ada,
        EDITH: Person(world.users["editor"]),
        WALTER: Person(world.users["writer"]),
        AUDREY: make_person("audrey@example.com", roles=["auditor"]),
        NORMAN: Person(world.users["nobody"]),
        "rolf": make_person("rolf@example.com"),
    }
    browsers = {name: sign_in(person) for name, person in people.items()}
    return Cast(world, people, {**browsers, "mallory": Client()})


@dataclass
class Stage:
    """What the requests are about: entries that the person may see, and rows of every table of administration."""

    key: str
    entry: Entry
    lost: Entry
    extra: Entry
    role: Role
    gone_role: Role
    policy: Policy
    gone_policy: Policy
    person: User
    api_key: ApiKey
    other_key: ApiKey
    service: User
    session: Session
    event: Event
    alert: Alert
    other_alert: Alert
    site: PreviewSite
    signing_key: SigningKey
    preview: Preview
    other_preview: Preview
    endpoint: Endpoint
    delivery: Delivery
    other_delivery: Delivery
    source: Source
    receipt: Receipt
    other_receipt: Receipt
    submission: str
    other_submission: str


def make_stage(number: int, by: Person) -> Stage:
    """Make rows that nobody has asked about yet."""
    author = by.principal if "writer" in by.principal.roles or "editor" in by.principal.roles else ROOT
    entry = make_entry("articles", title=f"On stage {number}", rating=7, published=False, by=author)
    editing.save(entry.pk, {"title": f"On stage {number}, again"}, writing=writing("articles"), base=1)
    lost = make_entry("articles", title=f"Lost {number}", rating=7, published=False, by=author)
    editing.trash(lost.pk, writing=writing("articles"))
    extra = make_entry("articles", title=f"Extra {number}", rating=7, published=False, by=author)
    role, gone_role = make_role(f"spare{number}"), make_role(f"gone{number}")
    allow(role, collection="articles", fields=("title",))
    policy = Policy.objects.get(role=role)
    allow(role, collection="vault", fields=("title",))
    gone_policy = Policy.objects.exclude(pk=policy.pk).get(role=role)
    person = make_user(f"person{number}@example.com")
    make_key(owner=person)
    service = people.add_service(f"Service {number}", by=ROOT)
    make_key(owner=service)
    session = Session.objects.filter(user=by.user).latest("created_at")
    make_collection(f"doomed{number}", [])
    make_locale(f"x{'abcdefgh'[number]}")
    seal_pending()
    site = make_site(f"Site {number}").site
    endpoint = make_endpoint("https://www.example.com/hook", name=f"Hook {number}", owner=by.user).endpoint
    source = make_source(f"source{number}")
    make_form(f"form{number}", [{"key": "name", "type": "text"}])
    return Stage(
        "articles",
        entry,
        lost,
        extra,
        role,
        gone_role,
        policy,
        gone_policy,
        person,
        ApiKey.objects.get(owner=person),
        ApiKey.objects.get(owner=service),
        service,
        session,
        Event.objects.filter(seal__isnull=False).latest("at"),
        make_alert(),
        make_alert(),
        site,
        SigningKey.objects.get(state="pending"),
        make_preview(site, entry, session),
        make_preview(site, entry, session),
        endpoint,
        make_delivery(
            endpoint,
            subject_type="entry",
            subject_id=str(entry.pk),
            collection_id=entry.collection_id,
            locale="en",
        ),
        make_delivery(endpoint, type="webhook.test"),
        source,
        make_failed_receipt(source),
        make_failed_receipt(source),
        *(str(submit(f"form{number}", {"name": "x"}, size=1, by=anonymous()[0])) for _ in range(2)),
    )


def visits(stage: Stage, number: int) -> list[Visit]:
    """Return every visit in an order in which each finds what it needs."""
    return [
        *_doors(),
        *_own_account(),
        *_previews_of_an_entry(stage),
        *_content(stage),
        *_modeling(number),
        *_forms(stage, number),
        *_accounts(stage, number),
        *_previews(stage, number),
        *_webhooks(stage, number),
        *_sources(stage, number),
        *_rest(),
    ]


def _doors() -> list[Visit]:
    wrong = {"email": "x@example.com", "password": "y"}
    new = {"password": PASSWORD, "repeated": PASSWORD}
    return [
        Visit("GET", "login/", "login/", who=EVERYBODY),
        Visit("POST", "login/", "login/", wrong, EVERYBODY, 400),
        Visit("GET", "login/code/", "login/code/", {}, EVERYBODY, 302),
        Visit("POST", "login/code/", "login/code/", {"code": "123456"}, EVERYBODY, 302),
        Visit("GET", "login/enrolment/", "login/enrolment/", {}, EVERYBODY, 302),
        Visit("POST", "login/enrolment/", "login/enrolment/", {"code": "123456"}, EVERYBODY, 302),
        Visit("GET", "passkey/", "passkey/", {}, EVERYBODY, 405),
        Visit("POST", "passkey/", "passkey/", {"for": "second-factor"}, EVERYBODY, 400),
        Visit("GET", "forgotten/", "forgotten/", {}, EVERYBODY),
        Visit("POST", "forgotten/", "forgotten/", {"email": ""}, EVERYBODY, 400),
        Visit("GET", "forgotten/sent/", "forgotten/sent/", {}, EVERYBODY),
        Visit("POST", "forgotten/sent/", "forgotten/sent/", {}, EVERYBODY, 405),
        Visit("GET", "link/", "link/", {}, EVERYBODY),
        Visit("POST", "link/", "link/", {"token": "x"}, EVERYBODY, 404),
        Visit("GET", "new-password/", "new-password/", {}, EVERYBODY, 302),
        Visit("POST", "new-password/", "new-password/", new, EVERYBODY, 302),
        Visit("GET", "password-strength/", "password-strength/", {}, EVERYBODY, 405),
        Visit("POST", "password-strength/", "password-strength/", {"password": "x"}, EVERYBODY),
        Visit("GET", "logout/", "logout/", {}, EVERYBODY, 405),
    ]


def _own_account() -> list[Visit]:
    """The pages of one's own account: open to who may enter at all, and to nobody's but their own."""
    nobody, device = "0190aaaa-0000-7000-8000-000000000000", "account/devices/<uuid:device_id>/"
    session = "account/sessions/<uuid:session_id>/end/"
    return [
        Visit("GET", "account/", "account/", {}, STAFF),
        Visit("POST", "account/", "account/"),
        Visit("GET", "account/password/", "account/password/", {}, STAFF),
        Visit("POST", "account/password/", "account/password/", {"password": "x"}, STAFF, 400),
        Visit("GET", "account/authenticator/", "account/authenticator/", {}, STAFF),
        Visit("POST", "account/authenticator/", "account/authenticator/", {"code": "x"}, STAFF, 400),
        Visit("GET", "account/passkeys/new/", "account/passkeys/new/", {}, STAFF),
        Visit(
            "POST",
            "account/passkeys/new/",
            "account/passkeys/new/",
            {"name": "x", "credential": "{}"},
            STAFF,
            400,
        ),
        Visit("GET", f"{device}rename/", f"account/devices/{nobody}/rename/"),
        Visit("POST", f"{device}rename/", f"account/devices/{nobody}/rename/", {"name": "x"}, STAFF, 404),
        Visit("GET", f"{device}remove/", f"account/devices/{nobody}/remove/"),
        Visit("POST", f"{device}remove/", f"account/devices/{nobody}/remove/", {}, STAFF, 404),
        Visit("GET", "account/recovery-codes/", "account/recovery-codes/"),
        Visit("POST", "account/recovery-codes/", "account/recovery-codes/", {}, (ADA,)),
        Visit("GET", "account/sessions/others/end/", "account/sessions/others/end/"),
        Visit("POST", "account/sessions/others/end/", "account/sessions/others/end/", {}, STAFF, 303),
        Visit("GET", session, f"account/sessions/{nobody}/end/"),
        Visit("POST", session, f"account/sessions/{nobody}/end/", {}, STAFF, 404),
    ]


def _content(stage: Stage) -> list[Visit]:
    at, one = f"content/{stage.key}/", f"content/{stage.key}/{stage.entry.pk}/"
    lost = f"content/{stage.key}/{stage.lost.pk}/"
    of = "content/<str:key>/"
    bulk = {"act": "trash", "ids": [str(stage.extra.pk)], "confirm": "1"}
    tags = {"field": "hidden_tags", "q": ""}
    part = {"name": "f-hidden_blocks", "number": "0", "component": "part"}
    return [
        Visit("GET", "choices/", "choices/", {"in": stage.key}, STAFF),
        Visit("POST", "choices/", "choices/"),
        Visit("GET", "content/", "content/", {}, STAFF),
        Visit("POST", "content/", "content/"),
        Visit("GET", "review/", "review/", {}, EDITORS),
        Visit("POST", "review/", "review/"),
        Visit("GET", "view-as/", "view-as/", {}, (ADA,)),
        Visit("POST", "view-as/", "view-as/", {"as": "anonymous", "collection": stage.key, "entry": str(stage.entry.pk)}, (ADA,)),
        Visit("GET", of, at, {}, SEERS),
        Visit("POST", of, at),
        Visit("GET", f"{of}add/", f"{at}add/", {}, WRITERS),
        Visit("POST", f"{of}add/", f"{at}add/", {"f-title": "Made by a form", "f-rating": "5"}, WRITERS, 302),
        Visit("GET", f"{of}trash/", f"{at}trash/", {}, SEERS),
        Visit("POST", f"{of}trash/", f"{at}trash/"),
        Visit("GET", f"{of}bulk/", f"{at}bulk/"),
        Visit("POST", f"{of}bulk/", f"{at}bulk/", bulk, EDITORS),
        Visit("GET", f"{of}columns/", f"{at}columns/"),
        Visit("POST", f"{of}columns/", f"{at}columns/", {"order": ["_author"], "show": ["_author"]}, SEERS, 302),
        Visit("GET", f"{of}views/", f"{at}views/"),
        Visit("POST", f"{of}views/", f"{at}views/", {"act": "save", "name": "Mine", "query": ""}, SEERS, 302),
        Visit("GET", f"{of}part/", f"{at}part/"),
        Visit("POST", f"{of}part/", f"{at}part/", part, (ADA,)),
        Visit("GET", f"{of}slug/", f"{at}slug/"),
        Visit("POST", f"{of}slug/", f"{at}slug/", {"field": "slug", "text": "A text"}, WRITERS),
        Visit("GET", f"{of}tags/", f"{at}tags/"),
        Visit("POST", f"{of}tags/", f"{at}tags/", tags, (ADA, AUDREY)),
        Visit("GET", f"{of}markdown/", f"{at}markdown/"),
        Visit("POST", f"{of}markdown/", f"{at}markdown/", {"text": "# A"}, SEERS),
        Visit("GET", f"{ENTRY}change/", f"{one}change/", {}, SEERS),
        Visit("POST", f"{ENTRY}change/", f"{one}change/", {"f-title": "Changed", "f-rating": "7", "base": "2"}, WRITERS, 302),
        Visit("GET", f"{ENTRY}presence/", f"{one}presence/"),
        Visit("POST", f"{ENTRY}presence/", f"{one}presence/", {"typing": "1"}, SEERS),
        Visit("GET", f"{ENTRY}field/<str:field_key>/", f"{one}field/title/", {"base": "1"}, WRITERS),
        Visit("POST", f"{ENTRY}field/<str:field_key>/", f"{one}field/title/", {"base": "1"}),
        Visit("GET", f"{ENTRY}publish/", f"{one}publish/", {}, EDITORS),
        Visit("POST", f"{ENTRY}publish/", f"{one}publish/", {"locales": "en"}, EDITORS, 302),
        Visit("GET", f"{ENTRY}unpublish/", f"{one}unpublish/", {}, EDITORS),
        Visit("POST", f"{ENTRY}unpublish/", f"{one}unpublish/", {"locales": "en"}, EDITORS, 302),
        Visit("GET", f"{ENTRY}history/", f"{one}history/", {}, SEERS),
        Visit("POST", f"{ENTRY}history/", f"{one}history/"),
        Visit("GET", f"{ENTRY}diff/", f"{one}diff/", {"from": "1", "to": "2"}, SEERS),
        Visit("POST", f"{ENTRY}diff/", f"{one}diff/", {"from": "1", "to": "2"}),
        Visit("GET", f"{ENTRY}history/<int:number>/restore/", f"{one}history/1/restore/"),
        Visit("POST", f"{ENTRY}history/<int:number>/restore/", f"{one}history/1/restore/", {"base": "3"}, EDITORS, 302),
        Visit("GET", f"{ENTRY}rights/", f"{one}rights/", {}, (ADA,)),
        Visit("POST", f"{ENTRY}rights/", f"{one}rights/", {"to": f"role:{stage.role.key}", "actions": ["update"]}, (ADA,), 302),
        Visit("GET", f"{ENTRY}trash/", f"{one}trash/", {}, EDITORS),
        Visit("POST", f"{ENTRY}trash/", f"{one}trash/", {"confirm": "1"}, EDITORS, 302),
        Visit("GET", f"{ENTRY}restore/", f"{one}restore/"),
        Visit("POST", f"{ENTRY}restore/", f"{one}restore/", {}, EDITORS, 302),
        Visit("GET", f"{ENTRY}purge/", f"{lost}purge/", {}, (ADA,)),
        Visit("POST", f"{ENTRY}purge/", f"{lost}purge/", {"confirm": "1"}, (ADA,), 302),
    ]  # fmt: skip


def _previews_of_an_entry(stage: Stage) -> list[Visit]:
    """The pages at the form of an entry. What is revoked is one's own: that of others is missing (tests/previews/admin)."""
    wanted = {"entry": str(stage.extra.pk), "site": str(stage.site.pk)}
    of, one = "previews/of/<uuid:name>/", f"previews/of/{stage.extra.pk}/"
    revoke = "previews/<uuid:jti>/revoke/"
    return [
        Visit("GET", "previews/open/", "previews/open/"),
        Visit("POST", "previews/open/", "previews/open/", wanted, (ADA,)),
        Visit("GET", of, one, {}, (ADA,)),
        Visit("POST", of, one),
        Visit("GET", revoke, f"previews/{stage.preview.pk}/revoke/"),
        Visit("POST", revoke, f"previews/{stage.preview.pk}/revoke/", {}, STAFF, 302),
    ]


def _modeling(number: int) -> list[Visit]:
    at, doomed = "modeling/collections/", f"doomed{number}"
    made = {"name": "Fresh", "key": f"fresh{number}", "kind": "many", "field-count": "0", "_save": "1"}
    tongue = {"code": f"y{'abcdefgh'[number]}", "name": "Fresh", "direction": "ltr"}
    code = f"x{'abcdefgh'[number]}"
    return [
        Visit("GET", at, at, {}, (ADA,)),
        Visit("POST", at, at),
        Visit("GET", f"{at}add/", f"{at}add/", {}, (ADA,)),
        Visit("POST", f"{at}add/", f"{at}add/", made, (ADA,), 302),
        Visit("GET", f"{at}<str:key>/", f"{at}{doomed}/", {}, (ADA,)),
        Visit("POST", f"{at}<str:key>/", f"{at}{doomed}/", {**made, "key": doomed}, (ADA,), 302),
        Visit("GET", f"{at}<str:key>/delete/", f"{at}{doomed}/delete/", {}, (ADA,)),
        Visit("POST", f"{at}<str:key>/delete/", f"{at}{doomed}/delete/", {"key": doomed}, (ADA,), 302),
        Visit("GET", "modeling/locales/", "modeling/locales/", {}, (ADA,)),
        Visit("POST", "modeling/locales/", "modeling/locales/"),
        Visit("GET", "modeling/locales/add/", "modeling/locales/add/", {}, (ADA,)),
        Visit("POST", "modeling/locales/add/", "modeling/locales/add/", tongue, (ADA,), 302),
        Visit("GET", "modeling/locales/<str:code>/", f"modeling/locales/{code}/", {}, (ADA,)),
        Visit("POST", "modeling/locales/<str:code>/", f"modeling/locales/{code}/", tongue, (ADA,), 302),
        Visit("GET", "modeling/locales/<str:code>/delete/", f"modeling/locales/{code}/delete/", {}, (ADA,)),
        Visit("POST", "modeling/locales/<str:code>/delete/", f"modeling/locales/{code}/delete/", {}, (ADA,), 302),
    ]  # fmt: skip


def _forms(stage: Stage, number: int) -> list[Visit]:
    """Submissions: a right on all collections opens none of them."""
    at, form = "forms/<str:key>/", f"forms/form{number}/"
    one, page = f"{at}<uuid:submission_id>/", f"{form}{stage.submission}/"
    return [
        Visit("GET", at, form, {}, (ADA,)),
        Visit("POST", at, form),
        Visit("GET", f"{at}export/", f"{form}export/", {}, (ADA,)),
        Visit("POST", f"{at}export/", f"{form}export/", {"format": "csv", "reason": "A test"}, (ADA,)),
        Visit("GET", one, page, {}, (ADA,)),
        Visit("POST", one, page, {"reason": "A test"}, (ADA,)),
        Visit("GET", f"{one}erase/", f"{page}erase/", {}, (ADA,)),
        Visit("POST", f"{one}erase/", f"{form}{stage.other_submission}/erase/", {}, (ADA,), 302),
    ]


def _accounts(stage: Stage, number: int) -> list[Visit]:
    # What these change is shown first: test_access_is_previewed.py saves it.
    rule = {
        "collection": "articles",
        "actions": ["read", "update"],
        "fields": "title",
        "row-count": "0",
        "_save": "1",
    }
    key = {"name": "Fresh key", "role": stage.role.pk, "scopes": ["articles:read"], "network_lines": ""}
    person = {"email": f"person{number}@example.com", "name": "Changed", "is_active": "on"}
    acts = f"accounts/apikey/{stage.other_key.pk}/do/"
    yes = {"post": "yes"}
    found = [
        *_table("user", stage.person.pk,
                add=({"email": f"fresh{number}@example.com"}, 302), change=(person, 302),
                act={"action": "end_sessions", "_selected_action": str(stage.person.pk)}),
        *_table("role", stage.role.pk,
                add=({"key": f"fresh{number}", "name": f"Fresh {number}"}, 302),
                change=({"name": f"Changed {number}"}, 302), delete=(yes, 302), gone=stage.gone_role.pk),
        *_table("policy", stage.policy.pk,
                add=({**rule, "role": stage.role.pk}, 200), change=(rule, 200),
                delete=(yes, 200), gone=stage.gone_policy.pk),
        *_table("apikey", stage.api_key.pk, add=(key, 200),
                act={"action": "revoke", "_selected_action": str(stage.api_key.pk)}),
        Visit("GET", "accounts/apikey/<uuid:key_id>/do/<str:act>/", f"{acts}rotate/", {}, (ADA,)),
        Visit("POST", "accounts/apikey/<uuid:key_id>/do/<str:act>/", f"{acts}disable/", {}, (ADA,), 302),
        *_table("serviceaccount", stage.service.pk,
                add=({"name": f"Fresh {number}"}, 302), change=({"name": "Changed", "is_active": "on"}, 302)),
        *_event(stage.event.pk),
        *_table("alert", stage.alert.pk, change=({"note": "Seen"}, 302), act={"alert": str(stage.other_alert.pk), "note": "x"}),
        *_table("session", stage.session.pk, act={"action": "end", "_selected_action": str(stage.person.pk)}),
    ]  # fmt: skip
    rooms = "^(?P<app_label>accounts|previews|webhooks)/$"
    return [
        *found,
        Visit("GET", rooms, "accounts/", {}, (ADA,)),
        Visit("POST", rooms, "accounts/", {}, (ADA,)),
    ]


def _previews(stage: Stage, number: int) -> list[Visit]:
    """Sites, keys and the register. In this world only administrators may preview anything."""
    site = {
        "name": f"Fresh {number}",
        "origins": "https://www.example.com",
        "handoff_urls-0-collection": "articles",
        "handoff_urls-0-locale": "",
        "handoff_urls-0-url": "https://www.example.com/{slug}",
        "algorithm": "EdDSA",
        "response_mode": "query",
        "ttl_seconds": "900",
        "max_ttl_seconds": "1800",
    }
    keys, of_preview = "previews/signingkey/", "previews/preview/<uuid:preview_id>/revoke/"
    act, rotate, end = (
        "previews/previewsite/<uuid:site_id>/do/<str:act>/",
        f"{keys}rotate/<str:algorithm>/",
        f"{keys}<uuid:key_id>/end/",
    )
    at = f"previews/previewsite/{stage.site.pk}/do/"
    revoke = f"previews/preview/{stage.preview.pk}/revoke/"
    room = {"room": "previews"}
    return [
        *_table("previewsite", stage.site.pk, **room, add=(site, 200), change=({**site, "name": f"Changed {number}"}, 302)),
        Visit("GET", act, f"{at}remove/", {}, (ADA,)),
        Visit("POST", act, f"{at}rotate-secret/", {"overlap_hours": "1"}, (ADA,)),
        *_table("signingkey", stage.signing_key.pk, **room),
        Visit("GET", end, f"{keys}{stage.signing_key.pk}/end/", {}, (ADA,)),
        Visit("POST", end, f"{keys}{stage.signing_key.pk}/end/", {}, (ADA,), 302),
        Visit("GET", rotate, f"{keys}rotate/EdDSA/", {}, (ADA,)),
        Visit("POST", rotate, f"{keys}rotate/EdDSA/", {"overlap_hours": "24", "at_once": "on"}, (ADA,), 302),
        *_table("preview", stage.preview.pk, **room,
                act={"action": "revoke", "_selected_action": str(stage.other_preview.pk)}),
        Visit("GET", of_preview, revoke),
        Visit("POST", of_preview, revoke, {}, (ADA,), 302),
    ]  # fmt: skip


def _webhooks(stage: Stage, number: int) -> list[Visit]:
    """Endpoints and their deliveries: of this world only administrators look after them."""
    hook = {
        "name": f"Fresh {number}",
        "url": "https://www.example.com/hook",
        "types": ["entry.*"],
        "about": "every",
        "owner": str(stage.endpoint.owner_id),
        "algorithm": "v1",
    }
    act, at = (
        "webhooks/endpoint/<uuid:endpoint_id>/do/<str:act>/",
        f"webhooks/endpoint/{stage.endpoint.pk}/do/",
    )
    again, one = (
        "webhooks/delivery/<uuid:delivery_id>/redeliver/",
        f"webhooks/delivery/{stage.delivery.pk}/redeliver/",
    )
    room = {"room": "webhooks"}
    return [
        *_table("endpoint", stage.endpoint.pk, **room, add=(hook, 200), change=({**hook, "name": f"Changed {number}"}, 302)),
        Visit("GET", act, f"{at}recover/", {}, (ADA,)),
        Visit("POST", act, f"{at}rotate-secret/", {"overlap_hours": "1"}, (ADA,)),
        *_table("delivery", stage.delivery.pk, **room, act={"delivery": str(stage.other_delivery.pk)}),
        Visit("GET", again, one, {}, NOBODY),
        Visit("POST", again, one, {}, (ADA,), 302),
    ]  # fmt: skip


def _sources(stage: Stage, number: int) -> list[Visit]:
    """Sources of webhooks, and their receipts."""
    act = "webhooks/source/<uuid:source_id>/do/<str:act>/"
    at = f"webhooks/source/{stage.source.pk}/do/"
    retry, one = "webhooks/receipt/<uuid:receipt_id>/retry/", f"webhooks/receipt/{stage.receipt.pk}/retry/"
    room = {"room": "webhooks"}
    source = {"do": "record", "schema": '{"type": "object"}'}
    return [
        *_table("source", stage.source.pk, **room,
                add=({"key": f"fresh{number}", "scheme": "standard", **source}, 200), change=(source, 302)),
        Visit("GET", act, f"{at}remove/", {}, (ADA,)),
        Visit("POST", act, f"{at}rotate-secret/", {"overlap_hours": "1"}, (ADA,)),
        *_table("receipt", stage.receipt.pk, **room,
                act={"action": "retry", "_selected_action": str(stage.other_receipt.pk)}),
        Visit("GET", retry, one, {}, (ADA,), 405),
        Visit("POST", retry, one, {}, (ADA,), 302),
    ]  # fmt: skip


def _table(
    model: str,
    pk: object,
    *,
    room: str = "accounts",
    add: tuple[dict[str, Any], int] | None = None,
    change: tuple[dict[str, Any], int] | None = None,
    delete: tuple[dict[str, Any], int] | None = None,
    gone: object = None,
    act: dict[str, Any] | None = None,
) -> list[Visit]:
    """Return the visits of a ModelAdmin; a verb that is not given is closed to administrators too."""
    at, one, last = f"{room}/{model}/", f"{room}/{model}/{pk}/", f"{room}/{model}/{gone or pk}/"
    of = f"{room}/{model}/{ONE}"
    ada = (ADA,)
    return [
        Visit("GET", at, at, {}, ada),
        Visit("POST", at, at, act or {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"},
              ada, 302 if act else 200),
        Visit("GET", f"{at}add/", f"{at}add/", {}, ada if add else NOBODY),
        Visit("POST", f"{at}add/", f"{at}add/", add[0] if add else {"x": "y"}, ada if add else NOBODY, add[1] if add else 0),
        Visit("GET", f"{of}change/", f"{one}change/", {}, ada),
        Visit("POST", f"{of}change/", f"{one}change/", change[0] if change else {"x": "y"}, ada if change else NOBODY, change[1] if change else 0),
        Visit("GET", f"{of}history/", f"{one}history/", {}, ada, 302),
        Visit("POST", f"{of}history/", f"{one}history/", {}, ada, 302),
        Visit("GET", f"{of}delete/", f"{last}delete/", {}, ada if delete else NOBODY),
        Visit("POST", f"{of}delete/", f"{last}delete/", delete[0] if delete else {"post": "yes"}, ada if delete else NOBODY, delete[1] if delete else 0),
        # Django's redirect to the form, made of the address alone: nothing is looked up.
        Visit("GET", of, one, {}, STAFF, 302),
        Visit("POST", of, one, {}, STAFF, 302),
    ]  # fmt: skip


def _event(pk: object) -> list[Visit]:
    """Return the visits of the log: to look, and to take away; nothing of it can be changed."""
    at, export = "accounts/event/", "accounts/event/export/"
    kept = [visit for visit in _table("event", pk) if (visit.method, visit.route) != ("POST", at)]
    return [
        *kept,
        Visit("POST", at, at, {}, (ADA,), 405),
        Visit("GET", export, export, {}, (ADA,), 405),
        Visit("POST", export, export, {"format": "jsonl"}, (ADA,)),
    ]


def _rest() -> list[Visit]:
    owners = {"app_label": "accounts", "model_name": "apikey", "field_name": "owner", "term": ""}
    nowhere = "(?P<url>.*)$"
    return [
        Visit("GET", "operations/backups/", "operations/backups/", {}, (ADA,)),
        Visit("POST", "operations/backups/", "operations/backups/", {}, (ADA,), 405),
        Visit("GET", "keys/", "keys/", {}, (ADA,)),
        Visit("POST", "keys/", "keys/", {}, (ADA,), 405),
        Visit("GET", "person/", "person/", {}, (ADA,)),
        Visit("POST", "person/", "person/", {"email": ""}, (ADA,), 400),
        Visit("GET", "lockdown/", "lockdown/", {}, (ADA,)),
        Visit("POST", "lockdown/", "lockdown/", {"reason": ""}, (ADA,), 400),
        Visit("GET", "security/", "security/", {}, (ADA,)),
        Visit("POST", "security/", "security/", {}, NOBODY, 405),
        Visit("GET", "csp-reports/", "csp-reports/", {}, (ADA,)),
        Visit("POST", "csp-reports/", "csp-reports/", {"report": "all"}, (ADA,), 302),
        Visit("GET", "", "", {}, STAFF),
        Visit("POST", "", ""),
        Visit("GET", "autocomplete/", "autocomplete/", owners, (ADA,)),
        Visit("POST", "autocomplete/", "autocomplete/", owners),
        Visit("GET", "jsi18n/", "jsi18n/", {}, STAFF),
        Visit("POST", "jsi18n/", "jsi18n/"),
        Visit("GET", nowhere, "nowhere/at/all/", {}, STAFF, 404),
        Visit("POST", nowhere, "nowhere/at/all/", {}, STAFF, 404),
        Visit("POST", "logout/", "logout/", {}, EVERYBODY, 303),
    ]
