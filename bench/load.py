"""Fills one database of the bench: the schema by the modelling verbs, the articles in bulk.

Run as `python -m bench.load prepare|fill|finish …` by `bench.ground`, with the owner's connection. The rows come
from the functions that the verbs use (`editing.clean`, `editing.merged`, `documents.*`) and go in by COPY;
`finish` makes a sample of the same articles by the verbs and compares every row.
"""

import functools
import json
import sys
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import connections  # noqa: E402
from django.db.models import Model  # noqa: E402
from psycopg.types.json import Jsonb  # noqa: E402

from accounts import people  # noqa: E402
from accounts.access import Action, Scopes, system  # noqa: E402
from accounts.keys import api_keys  # noqa: E402
from accounts.models import Role  # noqa: E402
from accounts.rights import granting  # noqa: E402
from bench import corpus, stock, wide  # noqa: E402
from bench.models import MODELS  # noqa: E402
from content import documents, editing, indexing, modeling, publishing  # noqa: E402
from content.documents import SHARED, VersionData  # noqa: E402
from content.fields import markdown  # noqa: E402
from content.locales import create_locale  # noqa: E402
from content.markdown import to_html  # noqa: E402
from content.models import (  # noqa: E402
    DraftDocument,
    DraftSearch,
    Entry,
    PublishedDocument,
    PublishedSearch,
    Reference,
    UniqueValue,
    Version,
)
from content.schema import current  # noqa: E402
from content.writing import Writing  # noqa: E402

ROOT = system("bench")
SAMPLE = 12
KEYS = 4
CHUNK = 500
TABLES: tuple[type[Model], ...] = (
    Entry,
    Version,
    DraftDocument,
    PublishedDocument,
    Reference,
    UniqueValue,
)
WORDS: tuple[type[Model], ...] = (DraftSearch, PublishedSearch)
INDEXED: tuple[type[Model], ...] = (DraftDocument, PublishedDocument, *WORDS)


@dataclass
class Rows:
    """Rows to copy, by table; words stay text until PostgreSQL makes vectors of them."""

    of: dict[type[Model], list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, model: type[Model], **values: Any) -> None:
        self.of.setdefault(model, []).append(values)


def prepare() -> None:
    """Make locales, collections, authors, policies and keys; take away the indexes that are quicker made afterwards."""
    create_locale({"code": "de", "name": "Deutsch", "fallback": ["en"]}, by=ROOT)
    modeling.create_collection({"key": "authors", "name": "Authors", "fields": corpus.AUTHOR_FIELDS}, by=ROOT)
    for key in ("articles", "sample"):
        # The sample needs no indexes: the rows are the same without.
        fields = [
            {**item, "filterable": key == "articles" and item.get("filterable", False)}
            for item in corpus.ARTICLE_FIELDS
        ]
        raw = {"key": key, "name": key.title(), "localized": True, "fields": fields}
        modeling.create_collection(raw, by=ROOT)
    writing = Writing.on("authors", by=ROOT)
    for number in range(corpus.AUTHORS):
        entry = editing.create(corpus.author(number), writing=writing)
        publishing.publish(entry.pk, writing=writing)
    add_wide()
    schema = current()
    articles = schema.by_key["articles"]

    def allow(role: Role, collection: str, fields: Iterable[str] = (), *rows: tuple[str, str, Any]) -> None:
        spec = schema.by_key[collection]
        terms = granting.PolicyTerms(
            collection_id=spec.id,
            actions=frozenset({Action.READ}),
            rows=tuple((str(spec.by_key[name].id), operator, value) for name, operator, value in rows),
            every_field=not fields,
            field_ids=frozenset(spec.by_key[name].id for name in fields),
            presets=(),
        )
        granting.add_policy(role, terms, by=ROOT)

    open_role = granting.add_role("reader", "Reader", by=ROOT)
    split_role = granting.add_role("split", "Two row-filtered clauses", by=ROOT)
    public = Role.objects.get(key="public")
    for role in (public, open_role, split_role):
        allow(role, "authors")
    for role in (public, open_role):
        allow(role, "articles")
    # The public's clause opens every row, so `bench.probe` takes it away before this role is measured.
    allow(split_role, "articles", (), ("category", "in", ["news", "guides"]))
    names = ("title", "slug", "summary", "rating", "category", "author")
    allow(split_role, "articles", names, ("rating", "gte", 4))
    add_editor()
    scopes = Scopes(frozenset({(None, Action.READ)}), frozenset())
    keys = {
        role: [
            api_keys.mint_for_role(role, name=f"{role} {number}", scopes=scopes, by=ROOT).text
            for number in range(KEYS)
        ]
        for role in ("reader", "split")
    }
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT indexdef, format('%%I', indexname) FROM pg_indexes"
            " WHERE schemaname = 'public' AND tablename = ANY(%s) AND indexdef NOT LIKE 'CREATE UNIQUE%%'",
            [[table_of(model) for model in INDEXED]],
        )
        found = cursor.fetchall()
        for _, name in found:
            cursor.execute(f"DROP INDEX {name}")
    answer({"keys": keys, "collection": str(articles.id), "indexes": [definition for definition, _ in found]})


def add_wide() -> None:
    """Make the collection of the large form with its one entry, and the tables of the stock form."""
    for component in wide.COMPONENTS:
        modeling.create_collection(component, by=ROOT)
    modeling.create_collection({"key": "wide", "name": "Wide", "fields": wide.fields()}, by=ROOT)
    writing = Writing.on("wide", by=ROOT)
    entry = editing.create(wide.entry(author_ids()), writing=writing)
    publishing.publish(entry.pk, writing=writing)
    with connections["owner"].schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
            editor.execute(f"GRANT SELECT ON {table_of(model)} TO quillkeep_app")
    stock.fill()


def add_editor() -> None:
    """Make somebody who works on everything in the admin, with a password."""
    role = granting.add_role("bench_editor", "Editor of the bench", by=ROOT)
    actions = frozenset({Action.READ, Action.READ_DRAFT, Action.CREATE, Action.UPDATE, Action.PUBLISH})
    terms = granting.PolicyTerms(collection_id=None, actions=actions, every_field=True)
    granting.add_policy(role, terms, by=ROOT)
    editor = people.add_person(corpus.EDITOR, name="Edith", roles=("bench_editor",), by=ROOT)
    editor.set_password(corpus.PASSWORD)
    editor.save()


def fill(start: int, end: int) -> None:
    """Copy the articles from `start` to before `end`."""
    authors = author_ids()
    writing = Writing.on("articles", by=ROOT)
    # A body that several articles share is rendered once: the rows are the same, the time is not.
    vars(markdown)["to_html"] = functools.cache(to_html)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for model in WORDS:
            cursor.execute(
                f"CREATE TEMP TABLE words_{table_of(model)}"
                ' (id bigint, document_id bigint, field_id uuid, config regconfig, words text, weight "char")'
            )
    for first in range(start, end, CHUNK):
        rows = Rows()
        for number in range(first, min(first + CHUNK, end)):
            write(rows, number, corpus.article(number, authors), writing)
        copy(rows)
    answer({"filled": end - start})


def finish(indexes: list[str]) -> None:
    """Make the indexes, compare a sample with what the verbs write, and let PostgreSQL learn what it holds."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1GB'")
        for model in (*TABLES, *WORDS):
            if model is not Entry:
                table = table_of(model)
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                cursor.execute(
                    f"SELECT setval({sequence}, (SELECT coalesce(max(id), 1) FROM {table}))"  # noqa: S608 (our names)
                )
        for definition in indexes:
            cursor.execute(definition)
    built = indexing.work_through()
    compare_sample()
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE, FREEZE)")
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    answer({"indexes": built, "bytes": size})


def write(rows: Rows, number: int, article: corpus.Article, writing: Writing) -> None:
    """Add the rows of one published article, as create, save (German), and publish would write them."""
    collection, schema = writing.collection, writing.schema
    first_id = 10_000_000 + number * 100  # room for what one entry has of each kind
    ids: dict[type[Model], Iterator[int]] = {
        model: iter(range(first_id, first_id + 100)) for model in (*TABLES, *WORDS)
    }
    versions = list(versions_of(article, writing))
    data = versions[-1]
    latest = len(versions)
    rows.add(
        Entry,
        id=article.id,
        collection_id=collection.id,
        latest_number=latest,
        created_by_id=None,
        created_at=article.at,
        trashed_at=None,
    )
    for index, version in enumerate(versions, 1):
        rows.add(
            Version,
            id=next(ids[Version]),
            entry_id=article.id,
            number=index,
            data=Jsonb(version),
            author_id=None,
            author_label=ROOT.label,
            message="",
            sha256=documents.hash_of_version(article.id, index, version),
            created_at=article.at,
        )
    resolved: dict[str, dict[str, Any]] = {}
    for locale in documents.locales_of(data):
        values = documents.in_locale(data, locale)
        resolved[locale] = documents.resolve(collection, values, schema)
        targets = sorted({target for _, target in documents.references(collection.fields, values, schema)})
        draft_id = next(ids[DraftDocument])
        rows.add(
            DraftDocument,
            id=draft_id,
            **common(article, collection.id, locale, locale, latest, values, targets),
            title=documents.title_of(collection, values),
            status="published",
            published_number=latest,
            last_published_at=article.at,
            trashed=False,
        )
        add_words(rows, DraftSearch, draft_id, ids, collection, resolved[locale], schema, locale)
        for is_published in (False, True):
            found = documents.references(
                collection.fields, resolved[locale] if is_published else values, schema
            )
            for field_id, target in sorted(set(found)):
                rows.add(
                    Reference,
                    id=next(ids[Reference]),
                    source_id=article.id,
                    target_id=target,
                    field_id=field_id,
                    locale=locale,
                    published=is_published,
                )
    for reader in schema.locales:
        source = next(code for code in reader.chain if code in resolved)
        delivered = resolved[source]
        targets = sorted({target for _, target in documents.references(collection.fields, delivered, schema)})
        document_id = next(ids[PublishedDocument])
        rows.add(
            PublishedDocument,
            id=document_id,
            **common(article, collection.id, reader.code, source, latest, delivered, targets),
        )
        add_words(rows, PublishedSearch, document_id, ids, collection, delivered, schema, source)
    for field_id, locale, digest in sorted(documents.claims(collection, data)):
        rows.add(
            UniqueValue,
            id=next(ids[UniqueValue]),
            field_id=field_id,
            locale=locale,
            digest=digest,
            entry_id=article.id,
        )


def versions_of(article: corpus.Article, writing: Writing) -> Iterator[VersionData]:
    """Yield what each save of the article leaves: English first, then German."""
    writable = set(writing.collection.fields)
    cleaned = editing.clean(article.english, writing, writable=writable)
    english = editing.merged({SHARED: {}, "en": {}}, cleaned, "en", writing)
    yield english
    if article.german is not None:
        cleaned = editing.clean(article.german, writing, writable=writable)
        yield editing.merged(english, cleaned, "de", writing)


def common(
    article: corpus.Article,
    collection_id: UUID,
    locale: str,
    content_locale: str,
    number: int,
    data: dict[str, Any],
    refs: list[UUID],
) -> dict[str, Any]:
    """Return the columns that drafts and published documents share."""
    return {
        "entry_id": article.id,
        "collection_id": collection_id,
        "locale": locale,
        "content_locale": content_locale,
        "version_number": number,
        "data": Jsonb(data),
        "refs": refs,
        "created_by": None,
        "published_at": article.at,
        "updated_at": article.at,
    }


def add_words(
    rows: Rows,
    model: type[Model],
    document_id: int,
    ids: dict[type[Model], Iterator[int]],
    collection: Any,
    values: dict[str, Any],
    schema: Any,
    locale: str,
) -> None:
    """Add the words of a document, taken out of the expressions that the verbs insert."""
    for field_id, vector in documents.words(collection, values, schema, locale):
        config, text = vector.get_source_expressions()
        rows.add(
            model,
            id=next(ids[model]),
            document_id=document_id,
            field_id=field_id,
            config=config.get_source_expressions()[0].value,
            words=text.value,
            weight=vector.extra["weight"].strip("'"),
        )


def copy(rows: Rows) -> None:
    """Send the rows to PostgreSQL."""
    connection = connections["owner"]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for model in (*TABLES, *WORDS):
            found = rows.of.get(model, [])
            if not found:
                continue
            table = f"words_{table_of(model)}" if model in WORDS else table_of(model)
            columns = ", ".join(found[0])
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as stream:
                for row in found:
                    stream.write_row(tuple(row.values()))
        for model in WORDS:
            waiting = f"words_{table_of(model)}"
            cursor.execute(
                f"INSERT INTO {table_of(model)} (id, document_id, field_id, vector)"  # noqa: S608 (our names)
                f" SELECT id, document_id, field_id, setweight(to_tsvector(config, words), weight) FROM {waiting};"
                f" TRUNCATE {waiting}"
            )
        cursor.execute("COMMIT")


def compare_sample() -> None:
    """Make the first articles again by the verbs, in a second collection, and compare every row of theirs."""
    authors = author_ids()
    writing = Writing.on("sample", by=ROOT)
    pairs: list[tuple[UUID, UUID]] = []
    for number in range(SAMPLE):
        article = corpus.article(number, authors)
        made = editing.create(article.english, writing=writing, locale="en", entry_id=uuid.uuid4())
        if article.german is not None:
            editing.save(made.pk, article.german, writing=writing, base=1, locale="de")
        publishing.publish(made.pk, writing=writing)
        pairs.append((article.id, made.pk))
    for copied, made_id in pairs:
        ours, theirs = rows_in_database(copied, "articles"), rows_in_database(made_id, "sample")
        if ours != theirs:
            different = [name for name in theirs if ours[name] != theirs[name]]
            raise SystemExit(f"The copied rows differ from those of the verbs in {', '.join(different)}.")


def rows_in_database(entry_id: UUID, collection: str) -> dict[str, Any]:
    """Return everything that is stored about an entry, but for its id and for times; fields by key."""
    names = {str(spec.id): spec.key for spec in current().by_key[collection].fields}

    def by_key(values: dict[str, Any]) -> dict[str, Any]:
        return {names[key]: value for key, value in values.items()}

    columns = ("locale", "content_locale", "version_number", "sealed", "refs", "created_by")
    more = ("title", "status", "published_number", "trashed")
    found: dict[str, Any] = {
        "entry": list(
            Entry.objects.filter(pk=entry_id).values_list("latest_number", "created_by", "trashed_at")
        )
    }
    found["versions"] = [
        (number, {locale: by_key(values) for locale, values in data.items()}, label, message)
        for number, data, label, message in Version.objects.filter(entry=entry_id)
        .order_by("number")
        .values_list("number", "sealed", "author_label", "message")
    ]
    for name, model, wanted in (
        ("drafts", DraftDocument, (*columns, *more)),
        ("published", PublishedDocument, columns),
    ):
        rows = model.objects.filter(entry=entry_id).order_by("locale").values(*wanted)
        found[name] = [{**row, "sealed": by_key(row["sealed"])} for row in rows]
    for name, words in (("draft words", DraftSearch), ("published words", PublishedSearch)):
        rows = words.objects.filter(document__entry=entry_id)
        found[name] = sorted(
            (locale, names[str(field_id)], vector)
            for locale, field_id, vector in rows.values_list("document__locale", "field_id", "vector")
        )
    found["references"] = sorted(
        (str(target), names[str(field_id)], locale, published)
        for target, field_id, locale, published in Reference.objects.filter(source=entry_id).values_list(
            "target", "field_id", "locale", "published"
        )
    )
    found["unique values"] = sorted(
        (names[str(field_id)], locale, digest)
        for field_id, locale, digest in UniqueValue.objects.filter(entry=entry_id).values_list(
            "field_id", "locale", "digest"
        )
    )
    return found


def table_of(model: type[Model]) -> str:
    """Return the name of a model's table."""
    return model._meta.db_table  # noqa: SLF001 (Django's documented API)


def author_ids() -> list[UUID]:
    """Return the authors in the order in which they were made."""
    return list(
        Entry.objects.filter(collection_id=current().by_key["authors"].id)
        .order_by("id")
        .values_list("id", flat=True)
    )


def answer(result: dict[str, Any]) -> None:
    """Tell `bench.ground` what came of it, as the last line."""
    print(json.dumps(result))


if __name__ == "__main__":
    act, *arguments = sys.argv[1:]
    if act == "prepare":
        prepare()
    elif act == "fill":
        fill(int(arguments[0]), int(arguments[1]))
    else:
        finish(json.load(sys.stdin))
