"""The time line of an entry: versions and what the log says, in one row, and never more than one may know."""

import re
from typing import Any

from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.access import Action
from accounts.models import Event, Role
from accounts.rights.granting import grant_entry
from content import editing, publishing
from content.models import Entry, Version
from content.timeline import Place
from tests.accounts.cast import make_person
from tests.builders import ROOT, make_collection, make_entry, make_locale, make_role, writing
from tests.content.admin.conftest import SignIn

FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "localized": True},
    {"key": "text", "type": "long_text", "localized": True, "label": "Inner text"},
    {"key": "level", "type": "integer", "label": "Level"},
]


def path(entry: Entry, query: str = "") -> str:
    return f"/admin/content/notes/{entry.pk}/history/{query}"


def make_note() -> Entry:
    """Make a note with three versions, published in two locales, taken back in one."""
    make_locale("de")
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title="First", level=1, published=False)
    work = writing("notes")
    editing.save(entry.pk, {"title": "Second", "text": "Words"}, writing=work, base=1, message="Longer")
    editing.save(entry.pk, {"title": "Zweites"}, writing=work, base=2, locale="de")
    publishing.publish(entry.pk, writing=work)
    publishing.unpublish(entry.pk, writing=work, locales=["de"])
    return entry


def said(answer: Any) -> list[str]:
    """Return the sentences of a page, without marks: who, what, and which fields."""
    assert answer.status_code == 200
    return [
        re.sub(r"<[^>]*>", "", " ".join(filter(None, (str(item.said), item.touched))))
        for day in answer.context["days"]
        for item in day.items
    ]


def test_versions_and_the_log_are_told_in_one_row(ada: Client) -> None:
    entry = make_note()
    editing.trash(entry.pk, writing=writing("notes"))
    editing.restore(entry.pk, writing=writing("notes"))
    answer = ada.get(path(entry))
    assert said(answer) == [
        "took it out of the trash",
        "moved it to the trash",
        "took it back from the public in de and English",  # one act after the other, by the same hand
        "published version 3 in de and English",
        "saved version 3 Changed Title in de",
        "saved version 2 Changed Title and Inner text in English",
        "wrote it Filled in Title in English; Level",
    ]
    page = answer.content.decode()
    assert '<p class="qk-message" dir="auto">Longer</p>' in page
    assert "Today" in page
    assert "Public now" not in page
    publishing.publish(entry.pk, writing=writing("notes"), locales=["de"])
    assert "Public now in <bdi>de</bdi>" in ada.get(path(entry)).content.decode()


def test_no_address_of_anybody_is_told(ada: Client) -> None:
    entry = make_note()
    ada.post(f"/admin/content/notes/{entry.pk}/trash/", {"confirm": "1"})
    last = Event.objects.about("entry", str(entry.pk)).latest("at")
    assert last.address
    assert last.address not in ada.get(path(entry)).content.decode()


def test_rights_on_it_are_told_to_those_who_administer_them(ada: Client, as_somebody: SignIn) -> None:
    entry = make_note()
    make_role("helpers")
    walter = make_person("walter@example.com")
    for to in (Role.objects.get(key="helpers"), walter.user):
        grant_entry(to, [Action.READ_DRAFT, Action.UPDATE], entry, by=ROOT)
    lines = said(ada.get(path(entry)))
    assert lines[0] == "gave rights on it to walter@example.com: see and change"
    assert lines[1].startswith("gave rights on it to everybody with the role ")
    rita = as_somebody("rita", {"collection": "notes", "actions": ["read_draft"]})
    assert said(rita.get(path(entry))) == lines[2:]
    assert b"walter" not in rita.get(path(entry)).content


def test_who_may_not_read_a_field_does_not_learn_its_name(ada: Client, as_somebody: SignIn) -> None:
    entry = make_note()
    ada.post(path(entry, "1/restore/"), {"base": "3", "field": "text", "locale": "en"})
    assert said(ada.get(path(entry)))[0] == "saved version 4 Changed Inner text in English"
    rita = as_somebody("rita", {"collection": "notes", "actions": ["read_draft"], "fields": ["title"]})
    answer = rita.get(path(entry))
    assert said(answer)[0] == "saved version 4 Nothing that you can see here has changed."
    assert said(answer)[-2:] == [
        "saved version 2 Changed Title in English",
        "wrote it Filled in Title in English",
    ]
    assert b"Inner text" not in answer.content
    assert b"Level" not in answer.content


def test_who_may_not_see_a_locale_does_not_learn_what_happened_in_it(
    ada: Client, as_somebody: SignIn
) -> None:
    entry = make_note()
    assert len(said(ada.get(path(entry)))) == 5
    only_english = {"collection": "notes", "actions": ["read_draft"], "filter": {"_locale": {"eq": "en"}}}
    rita = as_somebody("rita", only_english)
    answer = rita.get(path(entry))
    assert said(answer) == [
        "published version 3 in English",
        "saved version 3 Nothing that you can see here has changed.",
        "saved version 2 Changed Title and Inner text in English",
        "wrote it Filled in Title in English; Level",
    ]
    assert "<bdi>de</bdi>" not in answer.content.decode()
    # Fields may differ by locale: what is read in one says nothing of the other.
    mixed = as_somebody(
        "mixed",
        {**only_english, "fields": ["title"]},
        {**only_english, "filter": {"_locale": {"eq": "de"}}, "fields": ["text"]},
    )
    assert said(mixed.get(path(entry))) == [
        "took it back from the public in de",
        "published version 3 in de and English",
        "saved version 3 Nothing that you can see here has changed.",
        "saved version 2 Changed Title in English",
        "wrote it Filled in Title in English",
    ]
    nobody = as_somebody("nobody", {**only_english, "filter": {"_locale": {"eq": "fr"}}})
    assert nobody.get(path(entry)).status_code == 404


def test_pages_lose_nothing_and_tell_nothing_twice(ada: Client) -> None:
    make_locale("de")
    make_collection("notes", FIELDS, localized=True)
    entry, work = make_entry("notes", title="0", published=False), writing("notes")
    editing.save(entry.pk, {"title": "0"}, writing=work, base=1, locale="de")
    for number in range(2, 40):
        editing.save(entry.pk, {"title": str(number)}, writing=work, base=number)
        if number % 3 == 0:
            publishing.publish(entry.pk, writing=work)
            publishing.unpublish(entry.pk, writing=work)
    with connections["owner"].cursor() as cursor:  # both sources have the same moments, as after an import
        cursor.execute("ALTER TABLE content_version DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET at = date_trunc('second', at)")
        cursor.execute("UPDATE content_version SET created_at = date_trunc('second', created_at)")
        cursor.execute("ALTER TABLE content_version ENABLE TRIGGER USER")
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    numbers: list[int] = []
    acts: list[str] = []
    query, pages = "?locale=en", 0
    while query:
        answer = ada.get(path(entry, query))
        items = [item for day in answer.context["days"] for item in day.items]
        numbers += [item.number for item in items if item.number]
        acts += [str(item.said) for item in items if not item.number]
        query, pages = (f"?before={answer.context['older']}" if answer.context["older"] else ""), pages + 1
    assert pages == 3
    assert numbers == list(range(40, 0, -1))
    told = sum(text.count("<bdi>") for text in acts)  # one name of a locale each
    assert told == Event.objects.filter(type__in=("entry.published", "entry.unpublished")).count() == 52


def test_a_choice_to_compare_is_carried_to_another_page(ada: Client) -> None:
    entry = make_note()
    answer = ada.get(path(entry, "?from=3&to=2&before=v2e1.00000000000000000000000000000000"))
    assert said(answer) == ["wrote it Filled in Title in English; Level"]
    assert answer.context["elsewhere"] == [3, 2]
    assert answer.content.decode().count("checked") == 2
    for strange in ("before=", "before=v0", "before=e1", "before=v1e99999999999999999.0", "before=1", "of=2"):
        assert ada.get(path(entry, f"?{strange}")).headers["Location"].endswith("?e=1"), strange
    assert ada.get(path(entry, "?from=99&to=x")).context["one"] == 2
    far = Place.parse(f"v9e99999999999999999.{'0' * 32}")
    assert ada.get(path(entry, f"?before={far}")).status_code == 200


def test_what_a_page_asks_of_the_database_does_not_grow(ada: Client, as_somebody: SignIn) -> None:
    entry = make_note()
    rita = as_somebody(
        "rita", {"collection": "notes", "actions": ["read_draft"], "filter": {"level": {"lt": 100}}}
    )

    def queries(browser: Client) -> int:
        with CaptureQueriesContext(connection) as caught:
            assert browser.get(path(entry)).status_code == 200
        for query in caught:
            assert "SELECT" not in query["sql"] or query["sql"].count('"content_version"."data"') <= 1
        return len(caught)

    def counted() -> list[int]:
        for browser in (ada, rita):
            browser.get(path(entry))  # which notes, once a minute, that a session goes on
        return [queries(browser) for browser in (ada, rita)]

    few = counted()
    for number in range(3, 60):
        editing.save(entry.pk, {"level": number}, writing=writing("notes"), base=number)
        publishing.publish(entry.pk, writing=writing("notes"))
    assert counted() == few
    assert max(few) <= 16


def test_the_log_is_read_by_its_index(ada: Client) -> None:
    entry = make_note()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute(
            "INSERT INTO accounts_event SELECT gen_random_uuid(), type, at, actor_kind, actor_id, actor_label,"
            " credential, subject_type, gen_random_uuid()::text, collection_id, locale, request_id, address,"
            " detail, tag FROM accounts_event, generate_series(1, 2000)"
        )
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
        cursor.execute("ANALYZE accounts_event")
    with CaptureQueriesContext(connection) as caught:
        assert len(said(ada.get(path(entry)))) == 5
    (asked,) = [query["sql"] for query in caught if 'FROM "accounts_event"' in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT TEXT) {asked}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "event_subject_at" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_an_entry_with_one_version_offers_nothing_to_compare(ada: Client) -> None:
    make_collection("plain", [{"key": "title", "type": "text"}])
    entry = make_entry("plain", title="Only", published=False)
    page = ada.get(f"/admin/content/plain/{entry.pk}/history/").content.decode()
    assert "Filled in <bdi>Title</bdi>" in page
    assert " in <bdi>English" not in page
    assert 'type="radio"' not in page
    assert Version.objects.count() == 1
