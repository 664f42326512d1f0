"""A policy reads as one English sentence, with the labels that people gave to collections and fields."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Policy, Role
from accounts.rights.sentences import Speaker, role_sentences
from content.schema import current
from tests.builders import allow, make_collection, make_role, make_user

pytestmark = pytest.mark.django_db

FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "label": "Title"},
    {"key": "body", "type": "markdown", "label": "Body"},
    {"key": "rating", "type": "integer", "label": "Rating"},
    {"key": "day", "type": "date", "label": "Day"},
    {"key": "open", "type": "boolean", "label": "Open"},
    {"key": "kind", "type": "choice", "label": "Kind", "options": {"choices": [{"value": "news", "label": "News"}, {"value": "tip", "label": "Tip"}]}},
    {"key": "phone", "type": "text", "label": "Phone", "data_class": "personal"},
    {"key": "code", "type": "text", "label": "Door code", "data_class": "secret"},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _articles() -> None:
    make_collection("articles", FIELDS, name="Articles")


def said(**policy: Any) -> str:
    """Return the sentence of a new role's only policy."""
    role = make_role("guest_author")
    Role.objects.filter(pk=role.pk).update(name="Guest author")
    role.refresh_from_db()
    allow(role, **policy)
    (sentence,) = role_sentences(role, role.policies.all(), Speaker())
    return sentence


def test_the_sentence_of_the_brochure() -> None:
    assert (
        said(collection="articles", actions=("update",), filter={"_created_by": {"eq": "$user"}}, fields=("title", "body"))
        == "Guest author may update in Articles where the author of the entry is themselves: Title and Body."
    )  # fmt: skip


def test_every_field_leaves_out_what_is_sensitive() -> None:
    assert said(actions=("read", "read_draft", "create")) == (
        "Guest author may read what is published, read drafts and create in every collection: "
        "every field except personal and secret ones."
    )


def test_named_sensitive_fields_are_pointed_out() -> None:
    role = make_role("desk")
    allow(role, collection="articles", fields=("title", "phone", "code"))
    words = Speaker().policy(role.policies.get(), role)
    assert words.fields == "Title, Phone (personal) and Door code (secret)"
    assert words.sensitive == (("Phone", "personal"), ("Door code", "secret"))


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"title": {"eq": "Hi"}}, "Title is “Hi”"),
        ({"title": {"starts_with": "A"}}, "Title begins with “A”"),
        ({"title": {"exists": False}}, "Title is empty"),
        ({"title": {"exists": True}}, "Title is filled in"),
        ({"rating": {"lt": 5}}, "Rating is less than 5"),
        ({"day": {"lt": "2026-01-31"}}, "Day is before 2026-01-31"),
        ({"open": {"eq": "true"}}, "Open is yes"),
        ({"kind": {"in": ["news", "tip"]}}, "Kind is one of News or Tip"),
        ({"title": {"eq": "$user.email"}}, "Title is their own e-mail address"),
        ({"_locale": {"ne": "en"}}, "the language is not English"),
        ({"rating": {"gte": 1, "lte": 3}}, "Rating is at least 1 and Rating is at most 3"),
    ],
)
def test_conditions_in_words(condition: dict[str, Any], words: str) -> None:
    assert f" where {words}: " in said(collection="articles", filter=condition)


def test_a_person_is_named() -> None:
    ada = make_user("ada@example.com")
    assert f"the author of the entry is {ada}" in said(filter={"_created_by": {"eq": str(ada.pk)}})
    role = make_role("other", {"filter": {"_created_by": {"eq": str(uuid4())}}})
    assert "somebody who is not here" in role_sentences(role, role.policies.all(), Speaker())[0]


def test_presets_are_said() -> None:
    sentence = said(collection="articles", actions=("create",), presets={"kind": "news"})
    assert sentence.endswith("; new entries start with Kind = News.")


def test_the_public_role_is_everybody() -> None:
    allow("public", collection="articles")
    public = Role.objects.get(key="public")
    (sentence,) = role_sentences(public, public.policies.all(), Speaker())
    assert sentence == "Everybody may read what is published in Articles: every public field."
    Policy.objects.filter(role=public).update(actions=["read", "update"])
    words = Speaker().policy(public.policies.get(), public)
    assert words.may == "read what is published"
    assert "never given" in words.warning


def test_what_is_gone_grants_nothing_and_says_so() -> None:
    role = make_role("desk", {"collection": "articles", "fields": ("title", "body")})
    policy = role.policies.get()
    policy.field_ids = [*policy.field_ids, str(uuid4())]
    assert Speaker().policy(policy, role).fields == "Title, Body and a field that is gone"
    policy.collection_id = uuid4()
    assert (
        "a collection that is gone: it grants nothing any more" in Speaker().policy(policy, role).without_who
    )
    policy.rows = [["title", "resembles", "x"]]
    assert "can't be understood, so it grants nothing" in Speaker().policy(policy, role).without_who


def test_roles_without_policies_say_what_they_are() -> None:
    for key, words in {
        "administrator": "Administrator may do everything, and read every field.",
        "public": "Everybody may do nothing.",
    }.items():
        role = Role.objects.get(key=key)
        assert role_sentences(role, role.policies.all(), Speaker()) == [words]
    role = make_role("keeper")
    assert role_sentences(role, [], Speaker()) == ["Keeper may do nothing but read what everybody may."]
    role.areas = ["audit", "locales"]
    assert role_sentences(role, [], Speaker()) == [
        "Keeper administers languages and reads the record of what happened."
    ]


def test_many_sentences_cost_no_query_each(django_assert_num_queries: Any) -> None:
    role = make_role("desk", *({"collection": "articles", "filter": {"kind": {"eq": "news"}}},) * 5)
    policies = list(role.policies.all())
    current()
    with django_assert_num_queries(1):  # whether the schema is still the one that is known
        role_sentences(role, policies, Speaker())
