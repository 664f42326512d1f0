"""Making the demo, once, by the same verbs as everybody: locales, collections, roles, people, keys and entries."""

import json
import secrets
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import people
from accounts.access import Action, Area, Principal, Scopes, system
from accounts.keys import api_keys
from accounts.log import record
from accounts.models import Event, Role, User
from accounts.models.role import ADMINISTRATOR, PUBLIC
from accounts.principals import anonymous, of_user
from accounts.rights import granting
from accounts.sign_in import devices
from cms_project.demo import collections
from cms_project.servers import write_private
from content import editing, modeling, publishing
from content.forms.submitting import submit
from content.importing.front_matter import MarkdownDocument, parse
from content.locales import create_locale
from content.models import Collection, Entry, Locale
from content.schema import current
from content.writing import Writing
from previews import sites
from webhooks import endpoints

MADE: Final = "demo.made"  # the log remembers it, whatever becomes of the content
ARTICLES: Final = Path(__file__).parent / "articles"
QUICKSTART: Final = "quickstart.json"
ADMIN, EDITOR = "admin@example.com", "editor@example.com"

EDITING: Final = frozenset(
    {
        Action.READ,
        Action.READ_DRAFT,
        Action.CREATE,
        Action.UPDATE,
        Action.DELETE,
        Action.PUBLISH,
        Action.UNPUBLISH,
        Action.RESTORE,
        Action.PREVIEW,
    }
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody new who can sign in at once: the secrets exist here and in the quickstart file only."""

    user: User
    password: str
    totp_secret: str
    totp_url: str

    def __repr__(self) -> str:
        return f"Person({self.user.email})"

    def as_json(self) -> dict[str, str]:
        return {"email": self.user.email, "password": self.password, "totp_secret": self.totp_secret}


@dataclass(frozen=True, slots=True)
class Demo:
    """What was made."""

    admin: Person
    editor: Person


def quickstart_file() -> Path:
    """Return where the credentials of the demo are written (contract, "Commands")."""
    return Path(settings.DATA_DIR) / QUICKSTART


def is_made() -> bool:
    """Tell whether the demo was made in this database once; what people removed since stays removed."""
    return Event.objects.filter(type=MADE).exists()


def is_in_use() -> bool:
    """Tell whether somebody works here already: a demo has no place among real people and content."""
    return Collection.objects.exists() or User.objects.filter(is_service=False).exists()


@transaction.atomic
def make() -> Demo:
    """Make all of it, and write the quickstart file before it is committed: no demo without its passwords."""
    by = system("demo")
    if not Locale.objects.filter(code=collections.LOCALE["code"]).exists():
        create_locale(collections.LOCALE, by=by)
    for raw in collections.COLLECTIONS:
        modeling.create_collection(raw, by=by)
    _roles(by)
    admin = _person(ADMIN, "Ada Keeper", ADMINISTRATOR, by)
    editor = _person(EDITOR, "Edith Gull", "editor", by)
    _entries(of_user(editor.user), of_user(admin.user))
    for letter in collections.LETTERS:
        submit("contact", letter, size=len(json.dumps(letter)), by=anonymous()[0])
    everything = Scopes(frozenset((None, action) for action in Action), frozenset(Area))
    reading = Scopes(frozenset({(None, Action.READ)}), frozenset())
    read_key = api_keys.mint_for_role("frontend", name="Demo website", scopes=reading, by=by)
    manage_key = api_keys.mint_for_role(ADMINISTRATOR, name="Demo management", scopes=everything, by=by)
    site = sites.add(collections.SITE, collections.HANDOFF_URLS, by=by)
    hook = endpoints.add(collections.ENDPOINT | {"owner": admin.user}, is_active=False, by=by)
    record(MADE, actor=by, subject=None)
    write_quickstart(
        {
            "url": settings.PUBLIC_URL,
            "admin": admin.as_json(),
            "editor": editor.as_json(),
            "api_key": read_key.text,
            "manage_api_key": manage_key.text,
            "preview_site": {"id": str(site.site.pk), "client_secret": site.client_secret},
            "webhook_secret": hook.secret,
        }
    )
    return Demo(admin, editor)


def write_quickstart(values: Mapping[str, Any]) -> None:
    """Write the file, readable by its owner alone."""
    quickstart_file().parent.mkdir(parents=True, exist_ok=True)
    write_private(quickstart_file(), json.dumps(values, indent=2) + "\n")


def read_quickstart() -> dict[str, Any] | None:
    """Return the file's content, None when it is gone."""
    try:
        values = json.loads(quickstart_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _person(email: str, name: str, role: str, by: Principal) -> Person:
    password = secrets.token_urlsafe(18)
    user = people.add_person(email, name=name, roles=[role], password=password, by=by)
    device = devices.enrol(user, by=by)
    return Person(user, password, device.secret_base32, device.config_url)


def _roles(by: Principal) -> None:
    """Everybody reads what is published of the open collections; guests write their own, editors do the rest."""
    editor = _role("editor", "Editor", by, require_second_factor=True)
    is_ready = editor.policies.exists()  # on every collection, as new installations have it
    guest = _role("guest_author", "Guest author", by)
    frontend = _role("frontend", "Frontend", by)
    public = Role.objects.get(key=PUBLIC)
    for key in collections.OPEN:
        _allow(public, key, {Action.READ}, by)
        _allow(frontend, key, {Action.READ}, by)
        if not is_ready:
            _allow(editor, key, EDITING, by)
    # Fields of the classes `personal` and `secret` are only for those to whom they are named.
    _allow(editor, "authors", EDITING, by, fields=["name", "slug", "bio", "email"])
    _allow(editor, "contact", {Action.READ, Action.DELETE}, by, fields=["name", "email", "message"])
    _allow(editor, "internal_notes", EDITING, by, fields=["title", "note", "about", "phone"])
    _allow(guest, "authors", {Action.READ, Action.READ_DRAFT}, by)
    _allow(guest, "articles", {Action.READ, Action.READ_DRAFT, Action.CREATE, Action.PREVIEW}, by)
    _allow(
        guest,
        "articles",
        {Action.UPDATE},
        by,
        rows=(("_created_by", "eq", "$user"),),
        fields=["title", "summary", "body", "tags"],
    )


def _role(key: str, name: str, by: Principal, *, require_second_factor: bool = False) -> Role:
    """Return the role that the installation started with, or make it."""
    found = Role.objects.filter(key=key).first()
    return found or granting.add_role(key, name, require_second_factor=require_second_factor, by=by)


def _allow(
    role: Role,
    key: str,
    actions: Iterable[Action],
    by: Principal,
    *,
    fields: Iterable[str] | None = None,
    rows: tuple[tuple[str, str, Any], ...] = (),
) -> None:
    collection = current().by_key[key]
    terms = granting.PolicyTerms(
        collection_id=collection.id,
        actions=frozenset(actions),
        rows=rows,
        every_field=fields is None,
        field_ids=frozenset(collection.by_key[name].id for name in fields or ()),
    )
    granting.add_policy(role, terms, by=by)


# Entries


def _entries(editor: Principal, admin: Principal) -> None:
    """Write as the editor: so that history, rights and the log look as they will."""
    authors = {person["name"]: _author(person, editor) for person in collections.PEOPLE}
    articles = _articles(authors, editor)
    teasers = [articles[name] for name in ("the-night-the-lamp-went-out", "how-we-print-with-salt-water")]
    blocks = deepcopy(collections.WELCOME)
    for locale in blocks:
        blocks[locale][-1]["articles"] = [str(entry.pk) for entry in teasers]
    welcome = _localized(
        "pages",
        {
            "en": {"title": "Welcome", "blocks": blocks["en"]},
            "de": {"title": "Willkommen", "blocks": blocks["de"]},
        },
        editor,
    )
    about = {
        "en": {"title": "About", "blocks": collections.ABOUT["en"]},
        "de": {"title": "Über uns", "blocks": collections.ABOUT["de"]},
    }
    _localized("pages", about, editor)
    site = deepcopy(collections.SETTINGS)
    site["en"]["front_page"] = str(welcome.pk)
    _localized("site_settings", site, editor)
    notes = Writing.on("internal_notes", by=admin)  # the editor may not write door codes
    for values in collections.NOTES:
        editing.create(values, writing=notes, message="For ourselves")


def _author(person: Mapping[str, Any], editor: Principal) -> Entry:
    english = {"name": person["name"], "email": person["email"], "bio": person["bio"]["en"]}
    return _localized("authors", {"en": english, "de": {"bio": person["bio"]["de"]}}, editor)


def _localized(
    key: str,
    by_locale: Mapping[str, Mapping[str, Any]],
    by: Principal,
    *,
    publish: Iterable[str] | None = None,
) -> Entry:
    """Make an entry in its locales, the first one first; publish it in all of them, or in those named."""
    writing = Writing.on(key, by=by)
    entry: Entry | None = None
    for locale, values in by_locale.items():
        if entry is None:
            entry = editing.create(values, writing=writing, locale=locale)
        else:
            entry = editing.save(
                entry.pk,
                values,
                writing=writing,
                base=entry.latest_number,
                locale=locale,
                message=f"In {locale}",
            )
    if entry is None:
        raise ValueError("An entry needs content in one locale at least.")
    locales = list(by_locale if publish is None else publish)
    if locales:
        publishing.publish(entry.pk, writing=writing, locales=locales)
    return entry


def _articles(authors: Mapping[str, Entry], editor: Principal) -> dict[str, Entry]:
    """Make the articles of the folder beside this file: `<name>.<locale>.md`; `state: draft` stays one."""
    found: dict[str, dict[str, MarkdownDocument]] = {}
    for file in sorted(
        ARTICLES.glob("*.md"), key=lambda path: (path.stem.split(".")[0], path.stem.endswith(".de"))
    ):
        name, _, locale = file.stem.partition(".")
        found.setdefault(name, {})[locale] = parse(file.read_bytes())
    made: dict[str, Entry] = {}
    for name, documents in found.items():
        by_locale = {locale: _article(document, authors) for locale, document in documents.items()}
        live = [locale for locale, document in documents.items() if document.front.get("state") != "draft"]
        made[name] = _localized("articles", by_locale, editor, publish=live)
    _change(made["a-map-of-all-the-gulls"].pk, editor)
    return made


def _article(document: MarkdownDocument, authors: Mapping[str, Entry]) -> dict[str, Any]:
    values: dict[str, Any] = {key: value for key, value in document.front.items() if key != "state"}
    if isinstance(author := values.get("author"), str):
        values["author"] = str(authors[author].pk)
    return {**values, "body": document.body}


def _change(entry_id: UUID, editor: Principal) -> None:
    """Leave one article with a change that nobody has published yet."""
    writing = Writing.on("articles", by=editor)
    number = Entry.objects.get(pk=entry_id).latest_number
    editing.save(
        entry_id,
        {"summary": "There are four hundred and one of them. We have met most."},
        writing=writing,
        base=number,
        locale="en",
        message="One more was counted",
    )
