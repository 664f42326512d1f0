"""A file says how a house is set up: written, compared, applied, all of it or nothing."""

import errno
import json
import os
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from accounts import people
from accounts.models import Event, Policy, Role, User
from cms_project import lockdown
from cms_project.schema_code import planning, yaml_in, yaml_out
from content.models import Collection, Entry, Field, Submission
from content.schema import current
from previews.models import PreviewSite
from tests.as_code.conftest import make_accounts
from tests.builders import ROOT, allow, make_collection, make_entry, make_role, make_user
from tests.content.forms.world import GOOD, make_form, send
from tests.database import TestDatabase
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db


def exported() -> str:
    return yaml_out.write(planning.export())


def plan_of(text: str, **options: Any) -> list[tuple[str, str, str]]:
    plan = planning.try_out(yaml_in.read(text.encode()), by=ROOT, **options)
    return [(change.section, change.act, change.name) for change in plan.changes]


def apply(text: str, *, loses: bool = False, **options: Any) -> planning.Plan:
    terms = planning.Terms(allows_data_loss=loses, hand_over=lambda _: None)
    return planning.apply(yaml_in.read(text.encode()), terms, by=ROOT, **options)


def faults_of(text: str) -> list[tuple[int, str]]:
    with pytest.raises(yaml_in.FileError) as refused:
        planning.try_out(yaml_in.read(text.encode()), by=ROOT)
    return [(fault.line, fault.pointer) for fault in refused.value.faults]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("schema", *arguments, stdout=out)
    return out.getvalue()


def articles(*fields: str, more: str = "") -> str:
    listed = "".join(f"      - {field}\n" for field in fields)
    return f"quillkeep_schema: 1\ncollections:\n  articles:\n    name: Articles\n{more}    fields:\n{listed}"


def test_an_export_is_applied_to_the_same_house_without_a_difference(rich_house: None) -> None:
    text = exported()
    events = Event.objects.count()
    assert plan_of(text) == []
    assert apply(text).changes == ()
    assert Event.objects.count() == events
    assert exported() == text


def test_an_export_is_applied_to_an_empty_house_and_gives_the_same_bytes(
    rich_house: None, django_db_setup: TestDatabase
) -> None:
    text = exported()
    assert "whsec" not in text
    django_db_setup.reset()
    make_accounts()
    # Accounts come in no file: first the roles, then who has them, then what is done as somebody.
    first = apply("".join(text.partition("webhook_sources:")[0]))
    people.change_user(User.objects.get(name="Importer"), roles=["feeder"], by=ROOT)
    second = apply(text)
    assert exported() == text
    secrets = {secret.name for plan in (first, second) for secret in plan.secrets}
    assert secrets == {"Search: index", "feed", "Website"}
    assert plan_of(text) == []


def test_a_plan_changes_nothing(rich_house: None) -> None:
    text = (
        exported()
        .replace("Articles", "Stories")
        .replace("https://search.example.com", "https://other.example.com")
    )
    before = exported()
    events = Event.objects.count()
    assert plan_of(text) == [
        ("collections", "change", "articles"),
        ("webhook_endpoints", "change", "Search: index"),
    ]
    assert exported() == before
    assert Event.objects.count() == events


def test_another_key_for_a_known_id_is_a_rename_and_policies_go_with_it(rich_house: None) -> None:
    entry = make_entry(title="Old words")
    allow("public", collection="articles", fields=("kind",))
    text = exported().replace("key: title", "key: headline").replace("- title", "- headline")
    text = text.replace("from: title", "from: headline").replace("title: /title", "headline: /title")
    plan = apply(text)
    assert [(change.section, change.act) for change in plan.changes] == [("collections", "change")]
    assert any("key: title → headline" in line for line in plan.changes[0].lines)
    field = current().by_key["articles"].by_key["headline"]
    assert entry.versions.get().data["en"][str(field.id)] == "Old words"
    assert plan_of(text) == []


def test_two_fields_change_places() -> None:
    make_collection("articles", [{"key": "one", "type": "text"}, {"key": "two", "type": "text"}])
    entry = make_entry(one="1", two="2")
    text = (
        exported().replace("key: one", "key: X").replace("key: two", "key: one").replace("key: X", "key: two")
    )
    apply(text)
    spec = current().by_key["articles"]
    assert entry.versions.get().data["*"][str(spec.by_key["two"].id)] == "1"


def test_a_field_without_an_id_is_found_by_its_key() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    before = current().by_key["articles"].by_key["title"].id
    apply(articles("{key: title, type: text, help: Short}", "{key: lead, type: text}"))
    spec = current().by_key["articles"]
    assert spec.by_key["title"].id == before
    assert spec.by_key["title"].help == "Short"
    assert [field.key for field in spec.fields] == ["title", "lead"]


def test_a_new_collection_takes_the_key_of_one_that_is_renamed() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    entry = make_entry(title="A")
    text = exported().replace("  articles:", "  stories:")
    text = text.replace("collections:\n", "collections:\n  articles:\n    name: New\n", 1)
    plan = apply(text)
    assert [(change.act, change.name) for change in plan.changes] == [
        ("create", "articles"),
        ("change", "stories"),
    ]
    entry.refresh_from_db()
    assert entry.collection.key == "stories"


def test_a_collection_of_another_house_with_the_same_key_is_never_guessed() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    foreign = "019ac000-0000-7000-8000-000000000002"
    text = articles("{key: title, type: text}", more=f"    id: {foreign}\n")
    assert faults_of(text) == [(5, "/collections/articles/id")]
    assert plan_of(text, match_by_key=True) == []


def test_what_loses_data_is_counted_and_needs_a_word(tmp_path: Path) -> None:
    make_collection("articles", [{"key": "title", "type": "text"}, {"key": "lead", "type": "text"}])
    make_entry(title="A", lead="B")
    make_entry(title="C")
    text = articles("{key: title, type: text}")
    plan = planning.try_out(yaml_in.read(text.encode()), by=ROOT)
    assert (plan.changes[0].affected, plan.changes[0].lost) == (1, 1)
    with pytest.raises(planning.DataLossError):
        apply(text)
    assert "lead" in current().by_key["articles"].by_key
    file = tmp_path / "schema.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match="--allow-data-loss"):
        run("apply", str(file))
    run("apply", str(file), "--allow-data-loss")
    assert "lead" not in current().by_key["articles"].by_key


def test_deleting_a_collection_with_entries_is_a_loss_and_an_empty_one_is_not() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    make_collection("notes", [{"key": "title", "type": "text"}])
    make_entry(title="A")
    apply(articles("{key: title, type: text}"))
    assert "notes" not in current().by_key
    with pytest.raises(planning.DataLossError):
        apply("quillkeep_schema: 1\ncollections: {}\n")
    apply("quillkeep_schema: 1\ncollections: {}\n", loses=True)
    assert not Collection.objects.exists()
    assert not Entry.objects.exists()


def test_deleting_a_form_is_a_loss_of_what_visitors_sent() -> None:
    make_form()
    assert send(GOOD).status_code == 201
    text = "quillkeep_schema: 1\ncollections: {}\n"
    plan = planning.try_out(yaml_in.read(text.encode()), by=ROOT)
    assert (plan.changes[0].lines, plan.lost) == (("1 submission is erased.",), 1)
    with pytest.raises(planning.DataLossError):
        apply(text)
    apply(text, loses=True)
    assert not Submission.objects.exists()


def test_collections_that_name_each_other_in_a_circle_come_and_go() -> None:
    text = """
quillkeep_schema: 1
collections:
  books:
    name: Books
    fields:
      - {key: title, type: text}
      - {key: writer, type: reference, options: {collections: [writers]}, condition: {field: title, operator: exists, value: true}}
  writers:
    name: Writers
    fields:
      - {key: best, type: reference, options: {collections: [books]}}
"""
    apply(text)
    assert current().target_collections(current().by_key["books"].fields) == {current().by_key["writers"].id}
    assert plan_of(text) == []
    apply("quillkeep_schema: 1\ncollections: {}\n")
    assert not Collection.objects.exists()


def test_a_section_that_is_not_in_the_file_is_left_alone(rich_house: None) -> None:
    before = planning.export()
    assert plan_of("quillkeep_schema: 1\npreview_sites: {}\n") == [("preview_sites", "delete", "Website")]
    assert planning.export() == before


def test_an_unknown_id_beside_a_known_key_is_never_guessed() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    entry = make_entry(title="A")
    foreign = "019ac000-0000-7000-8000-000000000001"
    text = articles(f"{{id: {foreign}, key: title, type: text}}")
    assert faults_of(text) == [(6, "/collections/articles/fields/0/id")]
    assert plan_of(text, match_by_key=True) == []
    spec = current().by_key["articles"].by_key["title"]
    assert entry.versions.get().data["*"][str(spec.id)] == "A"


def test_a_field_that_was_converted_elsewhere_is_converted_here_under_the_same_id() -> None:
    make_collection("articles", [{"key": "price", "type": "integer"}])
    entry = make_entry(price=7)
    foreign = "019ac000-0000-7000-8000-000000000001"
    text = articles(f"{{id: {foreign}, key: price, type: decimal}}")
    apply(text)
    entry.refresh_from_db()
    assert str(current().by_key["articles"].by_key["price"].id) == foreign
    assert entry.versions.get(number=entry.latest_number).data["*"][foreign] == "7"
    assert plan_of(text) == []


def test_a_removed_field_is_not_brought_back_by_its_id() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}, {"key": "lead", "type": "text"}])
    text = exported()
    apply(articles("{key: title, type: text}"))
    assert [pointer for _, pointer in faults_of(text)] == ["/collections/articles/fields/1/id"]
    assert Field.objects.get(key="lead").removed_at is not None


def test_policies_are_told_apart_by_what_they_say() -> None:
    make_collection("articles")
    make_role(
        "writer", {"collection": "articles", "actions": ("read",)}, {"collection": "*", "actions": ("read",)}
    )
    kept = Policy.objects.get(role__key="writer", every_collection=True).pk
    text = exported()
    assert plan_of(text.replace("        - read\n", "        - read\n        - update\n", 1)) != []
    changed = """
quillkeep_schema: 1
policies:
  writer:
    - {collection: "*", actions: [read]}
    - {collection: articles, actions: [update, read], fields: [title]}
"""
    plan = planning.try_out(yaml_in.read(changed.encode()), by=ROOT)
    assert [(change.act, change.name.partition(":")[0]) for change in plan.changes][:1] == [
        ("change", "writer")
    ]
    apply(changed)
    assert Policy.objects.filter(pk=kept).exists()
    assert plan_of(changed) == []


def test_built_in_roles_are_never_deleted_and_a_role_that_somebody_has_is_a_fault_in_its_line() -> None:
    make_role("writer")
    make_user("walter@example.com", roles=("writer",))
    assert faults_of("quillkeep_schema: 1\n\nroles: {}\n") == [(3, "/roles")]
    text = "quillkeep_schema: 1\nroles:\n  writer: {name: Writer}\n"
    apply(text)
    assert set(Role.objects.values_list("key", flat=True)) == {"administrator", "public", "writer"}


def test_rules_hold_for_a_file_as_for_everybody() -> None:
    text = """quillkeep_schema: 1
roles:
  public:
    name: Public
    areas: [users]
policies:
  public:
    - collection: "*"
      actions: [update]
"""
    assert faults_of(text)[0] == (5, "/roles/public/areas")
    assert faults_of(text.replace("    areas: [users]\n", ""))[0] == (8, "/policies/public/0/actions")


def test_every_fault_of_the_form_is_told_at_once_with_its_line() -> None:
    text = """quillkeep_schema: 1
roles:
  writer:
    name: 5
    colour: red
policies:
  writer:
    - {collection: articles, actions: [fly]}
collections:
  articles:
    name: Articles
    fields:
      - {key: title, type: text, size: 5}
nonsense: {}
"""
    assert [line for line, _ in faults_of(text)] == [4, 5, 8, 13, 14]


def test_nothing_is_changed_where_one_thing_is_refused() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    text = articles("{key: title, type: text, help: New}") + (
        "policies:\n  writer:\n    - {collection: nowhere, actions: [read]}\nroles:\n  writer: {name: Writer}\n"
    )
    with pytest.raises(yaml_in.FileError):
        apply(text)
    assert current().by_key["articles"].by_key["title"].help == ""
    assert not Role.objects.filter(key="writer").exists()


def test_an_owner_who_is_not_there_is_named() -> None:
    text = """quillkeep_schema: 1
webhook_endpoints:
  Search:
    url: https://search.example.com/
    types: [entry.published]
    owner: nobody@example.com
"""
    with pytest.raises(yaml_in.FileError, match=r"nobody@example\.com"):
        planning.try_out(yaml_in.read(text.encode()), by=ROOT)
    assert faults_of(text) == [(6, "/webhook_endpoints/Search/owner")]


def test_a_stale_plan_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    file = tmp_path / "schema.yaml"
    file.write_text(articles("{key: title, type: text, help: Short}"))
    with pytest.raises(SystemExit) as differs:
        run("diff", str(file))
    assert differs.value.code == 2
    shown = planning.try_out(yaml_in.read(file.read_bytes()), by=ROOT)
    make_collection("notes", [{"key": "title", "type": "text"}])
    with pytest.raises(CommandError, match="not the one that was shown"):
        run("apply", str(file), "--plan", shown.digest)
    assert "notes" in current().by_key


def test_new_secrets_are_written_once_into_a_file_of_their_own(tmp_path: Path, rich_house: None) -> None:
    file, secrets = tmp_path / "schema.yaml", tmp_path / "secrets.json"
    text = exported()
    file.write_text(text.replace("  Website:", "  Second site:"))
    with pytest.raises(CommandError, match="--secrets-to"):
        run("apply", str(file), "--allow-data-loss")
    said = run("apply", str(file), "--allow-data-loss", "--secrets-to", str(secrets))
    assert secrets.stat().st_mode & 0o777 == 0o600
    listed = json.loads(secrets.read_text())["secrets"]
    assert [item["name"] for item in listed] == ["Second site"]
    assert listed[0]["secret"] not in said
    file.write_text(text)
    with pytest.raises(CommandError, match="can't be made"):
        run("apply", str(file), "--allow-data-loss", "--secrets-to", str(secrets))
    assert len(json.loads(secrets.read_text())["secrets"]) == 1
    assert [change.name for change in planning.try_out(yaml_in.read(text.encode()), by=ROOT).changes] == [
        "Website",
        "Second site",
    ]


def test_nothing_is_made_where_its_secret_can_not_be_kept(
    tmp_path: Path, rich_house: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, secrets = tmp_path / "schema.yaml", tmp_path / "secrets.json"
    file.write_text(exported().replace("  Website:", "  Second site:"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError, match=r"Nothing was changed: .* No space left"):
        run("apply", str(file), "--allow-data-loss", "--secrets-to", str(secrets))
    assert not secrets.exists()
    assert PreviewSite.objects.get().name == "Website"


def test_a_source_whose_sender_makes_the_secret_is_refused_with_the_way_out() -> None:
    text = "quillkeep_schema: 1\nwebhook_sources:\n  pay:\n    scheme: stripe\n"
    assert faults_of(text) == [(4, "/webhook_sources/pay/scheme")]


def test_the_command_says_where_a_file_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    file.write_text("quillkeep_schema: 1\nroles:\n  a: {name: A}\n  a: {name: B}\n")
    with pytest.raises(CommandError, match=rf"{file}:4: /roles: The key 'a' stands here twice"):
        run("diff", str(file))
    with pytest.raises(CommandError, match="is no file"):
        run("diff", "/dev/null")
    with pytest.raises(CommandError, match="can't be read"):
        run("diff", str(tmp_path / "missing.yaml"))


def test_an_endpoint_is_switched_and_moved_by_its_verbs(rich_house: None) -> None:
    text = exported().replace("    state: paused\n", "")
    apply(text)
    assert Endpoint.objects.get().state == "active"
    apply(text.replace("    owner: ada@example.com", "    owner: ada@example.com\n    state: disabled"))
    assert Endpoint.objects.get().state == "disabled"
    assert Event.objects.filter(type="endpoint.disabled").count() == 1


def test_an_apply_waits_for_who_changes_the_schema_and_then_sees_it() -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    text = articles("{key: title, type: text}")
    started, seen = threading.Event(), []

    def plan() -> None:
        started.set()
        seen.extend(plan_of(text))
        connections.close_all()

    other = threading.Thread(target=plan)
    with transaction.atomic():
        make_collection("notes", [{"key": "title", "type": "text"}])
        other.start()
        started.wait(5)
        other.join(0.5)
        assert other.is_alive()  # it waits for the generation that this transaction has moved on
    other.join(20)
    assert seen == [("collections", "delete", "notes")]


def test_the_file_of_the_documentation_is_one_that_can_be_applied() -> None:
    make_accounts()
    text = (Path(__file__).parents[2] / "docs/schema-as-code.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert {"locales", "collections", "policies"} < yaml_in.read(example.encode()).value.keys()
    apply(example, loses=True)
    assert plan_of(example) == []


def test_nothing_is_tried_or_applied_in_a_lockdown(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    file.write_text("quillkeep_schema: 1\nroles: {}\n")
    lockdown.begin(reason="test", by=ROOT)
    for verb in ("diff", "apply"):
        with pytest.raises(CommandError, match="locked down"):
            run(verb, str(file))
