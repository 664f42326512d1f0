"""`manage.py keys`: what it tells, that secrets are printed once, and that its exit says the truth."""

import json
import stat
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.errors import ConflictError
from accounts.keys import api_keys, kinds, usage
from accounts.models import ApiKey, Event
from tests.accounts.cast import BUILDER, Api, Person, make_key

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(keys(*arguments, "--json")[0].splitlines()[-1])
    return found


def status(api: Api, text: str) -> int:
    code: int = Api(api.client, text).get("auth/me").status_code
    return code


def test_the_list_tells_everything_but_secrets(rita: Person) -> None:
    assert keys("list")[1].strip() == "There is no key of this kind."
    key, text = make_key(rita.user, name="Website")
    api_keys.rotate(key, by=BUILDER)
    (row,) = told("list")["keys"]
    assert (row["id"], row["public_id"], row["state"]) == (str(key.pk), key.public_id, "retiring")
    assert (row["name"], row["owner"], row["calls"], row["safe_to_retire"]) == (
        "Website", "rita@example.com", 0, False,
    )  # fmt: skip
    for shown in (keys("list")[0], json.dumps(row)):
        assert "Website" in shown
        assert text not in shown
        assert key.secret_hash not in shown


def test_a_name_commands_no_terminal_and_makes_up_no_line(rita: Person) -> None:
    make_key(rita.user, name="x\x1b]0;y\x07\nstate=active  verdict=Safe to retire")
    shown = keys("list")[0]
    assert len(shown.splitlines()) == 1
    assert shown.rstrip("\n").isprintable()
    assert r"name='x\x1b]0;y\x07\nstate=active  verdict=Safe to retire'" in shown


@pytest.mark.parametrize("named", ["pk", "public_id"])
def test_rotating_prints_the_new_secret_alone_and_once(rita: Person, anonymous: Api, named: str) -> None:
    key, old = make_key(rita.user)
    out, err = keys("rotate", str(getattr(key, named)), "--overlap-hours", "2")
    assert len(out.splitlines()) == 1
    assert status(anonymous, out.strip()) == 200
    assert status(anonymous, old) == 200
    assert out.strip() not in err
    assert "qk_" not in keys("list")[0]
    event = Event.objects.get(type="api-key.rotated")
    assert (event.actor_label, event.detail["overlap_seconds"]) == ("system: keys rotate", 7200)


def test_rotating_into_a_file_prints_no_secret(rita: Person, anonymous: Api, tmp_path: Path) -> None:
    key, _ = make_key(rita.user)
    target = tmp_path / "key"
    answer = told("rotate", key.public_id, "--to", str(target))
    assert (answer["key"], answer["file"]) == (None, str(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert status(anonymous, target.read_text().strip()) == 200
    with pytest.raises(CommandError, match="can't be made"):
        keys("rotate", key.public_id, "--to", str(target))
    assert Event.objects.filter(type="api-key.rotated").count() == 1
    fresh = tmp_path / "other"
    with pytest.raises(CommandError):
        keys("rotate", "nothing", "--to", str(fresh))
    assert not fresh.exists()


def test_what_can_not_be_done_is_said_and_changes_nothing(rita: Person) -> None:
    key, _ = make_key(rita.user)
    before = Event.objects.count()
    for arguments in (
        ("rotate", "nothing"), ("rotate", ""), ("rotate", "a\x00b"), ("rotate", key.public_id, "--overlap-hours", "721"),
        ("rotate", key.public_id, "--overlap-hours=-1"), ("retire", key.public_id), ("retire", "nothing"),
        ("list", "--kind", "other"), ("rotate", key.public_id, "--overlap-hours", "x"), (), ("burn", key.public_id),
    ):  # fmt: skip
        with pytest.raises(CommandError):
            keys(*arguments)
    assert Event.objects.count() == before
    api_keys.revoke(key, by=BUILDER)
    with pytest.raises(CommandError, match="revoked"):
        keys("rotate", key.public_id)


def test_retiring_waits_until_it_is_safe_unless_forced(rita: Person, anonymous: Api) -> None:
    key, old = make_key(rita.user)
    new = api_keys.rotate(key, by=BUILDER).text
    for text in (old, new):
        assert status(anonymous, text) == 200
    usage.flush(by=BUILDER)
    with pytest.raises(CommandError, match="Not yet: 1 call on the old secret"):
        keys("retire", key.public_id)
    assert status(anonymous, old) == 200
    long_ago = timezone.now() - timedelta(hours=5)
    ApiKey.objects.filter(pk=key.pk).update(rotated_at=long_ago - timedelta(hours=1), old_used_at=long_ago)
    assert told("list")["keys"][0]["safe_to_retire"] is True
    assert told("retire", key.public_id)["retired"] is True
    assert (status(anonymous, old), status(anonymous, new)) == (401, 200)
    api_keys.rotate(key, by=BUILDER)
    assert "Retired" in keys("retire", key.public_id, "--force")[0]


def test_other_rooms_add_kinds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    kinds.register("signing", kinds.ApiKeys())
    assert told("list", "--kind", "signing") == {"kind": "signing", "keys": []}
    with pytest.raises(ConflictError):
        kinds.register("api", kinds.ApiKeys())
