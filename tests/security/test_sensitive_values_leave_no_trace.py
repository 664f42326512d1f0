"""A personal value goes in by the API, is changed, published, refused, compared, trashed and erased, and is nowhere else."""

import json
import logging
from typing import Any

import pytest

from accounts.log import seal_pending
from content.models import Entry
from tests.builders import administrator, allow, anonymous, make_collection, make_key, make_role
from tests.dumps import dump
from tests.webhooks.world import Receiver, make_endpoint, work

pytestmark = pytest.mark.django_db
WORD = "canaryxyzzy"
PEOPLE = "/api/v1/manage/content/people"
FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text"},
    {"key": "slug", "type": "slug", "options": {"from": "name"}},
    {"key": "mail", "type": "email", "data_class": "personal"},
    {"key": "code", "type": "text", "data_class": "secret", "options": {"max_length": 30}},
]


def test_a_sensitive_value_is_in_no_table_log_event_webhook_or_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    make_collection("people", FIELDS)
    allow("public", collection="people", actions=("read",))
    make_role("rest", {"collection": "people", "actions": ("read_draft", "update", "publish", "restore")})
    ada, rest = administrator(), make_key(role="rest")
    answers: list[Any] = []
    with Receiver() as receiver:
        receiver.secret = make_endpoint(receiver.url).secret
        fields = {"name": "Ada", "mail": f"{WORD}@example.com", "code": WORD}
        entry = ada.post(PEOPLE, {"fields": fields}).json()["_id"]
        at = f"{PEOPLE}/{entry}"
        # Refusals that were given the value, by who may write it and by who may not.
        answers += [
            ada.patch(at, {"fields": {"mail": f"{WORD} is no address"}}, **{"If-Match": '"1"'}),
            ada.patch(at, {"fields": {"code": WORD * 9}}, **{"If-Match": '"1"'}),
            rest.patch(at, {"fields": {"code": WORD}}, **{"If-Match": '"1"'}),
            ada.get(f"{PEOPLE}?filter[mail][eq]={WORD}@example.com"),
        ]
        assert [answer.status_code for answer in answers] == [400] * 4
        ada.patch(at, {"fields": {"code": f"{WORD}2"}}, **{"If-Match": '"1"'})
        # Everything that others and strangers are answered, and every difference.
        answers += [
            rest.post(f"{at}/publish"),
            ada.get(f"{at}/diff?from=1&to=2"),
            rest.get(at),
            rest.get(f"{at}/versions"),
            rest.get(f"{at}/versions/1"),
            rest.get(f"{at}/diff?from=1&to=2"),
            rest.patch(at, {"fields": {"name": "x"}}, **{"If-Match": '"1"'}),
            anonymous().get(f"/api/v1/content/people/{entry}"),
            anonymous().get("/api/v1/content/people?search=" + WORD[:-1]),
            ada.get("/api/v1/manage/audit"),
        ]
        assert {answer.status_code for answer in answers[4:]} == {200, 412}
        work()
        assert receiver.types
        seal_pending()
        assert [name for name, text in dump().items() if WORD in text] == []
        ada.delete(at)
        ada.delete(f"{at}?purge=true&confirm=true")
        work()
        assert not Entry.objects.exists()
        assert [name for name, text in dump().items() if WORD in text or '"_sealed"' in text] == []
        sent = (
            b"".join(asked.body for asked in receiver.asked)
            + json.dumps([dict(asked.headers) for asked in receiver.asked]).encode()
        )
    told = [answer.content.decode() for answer in answers]
    assert [text for text in told if WORD in text] == []
    assert WORD.encode() not in sent
    lines = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
    # The address of the filter above stands in the access log as any other: its values are for who asks so.
    assert [line for line in lines if WORD in line and "filter" not in line] == []
