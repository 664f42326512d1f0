"""`manage.py keys` for signing keys: what it tells, what it rotates, and that no private half leaves."""

import json
import stat
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ApiKey
from previews.models import SigningKey
from previews.signing import life
from previews.signing.table import tables
from tests.builders import make_key
from tests.previews.world import World, make_site, told

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(hours=1)


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def told_by(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(keys(*arguments, "--json")[0].splitlines()[-1])
    return found


def signing(algorithm: str = "EdDSA") -> SigningKey:
    return SigningKey.objects.get(algorithm=algorithm, state="active")


def ripen() -> None:
    """Let every key have been published for longer than caches keep the JWKS."""
    SigningKey.objects.update(created_at=timezone.now() - LONG_AGO)


def test_the_list_tells_of_each_key_and_holds_no_private_half(world: World) -> None:
    made = make_site("Old", origins=["https://www.example.com"], algorithm="HS256")
    listed = told_by("list", "--kind", "previews")
    assert listed["kind"] == "previews"
    by_state = {(row["algorithm"], row["state"]): row for row in listed["keys"]}
    assert by_state.keys() == {("EdDSA", "active"), ("EdDSA", "pending"), ("HS256", "active")}
    active = by_state["EdDSA", "active"]
    assert active["id"] == str(signing().pk)
    due = life.due_at(signing())
    assert due is not None
    assert active["due"] == due.isoformat()
    assert by_state["HS256", "active"]["site"] == str(made.site.pk)
    shown = keys("list", "--kind", "previews")[0]
    assert len(shown.splitlines()) == 3
    for key in SigningKey.objects.all():
        assert str(key.pk) in shown
        assert key.private[20:40] not in shown + json.dumps(listed)
    assert made.shared_secret not in shown + json.dumps(listed)


def test_the_list_without_a_kind_stays_one_of_api_keys(world: World) -> None:
    make_key(role="editor")
    listed = told_by("list")
    assert listed["kind"] == "api"
    assert {row["id"] for row in listed["keys"]} == {
        str(pk) for pk in ApiKey.objects.values_list("pk", flat=True)
    }


def test_one_word_rotates_every_algorithm_in_use(world: World) -> None:
    make_site("Old", algorithm="RS256")
    make_site("Shared", algorithm="HS256")
    ripen()
    before = {name: signing(name).pk for name in ("EdDSA", "RS256", "HS256")}
    token = world.token()
    out, _ = keys("rotate", "previews")
    after = {name: signing(name).pk for name in before}
    assert (before["EdDSA"], before["RS256"]) != (after["EdDSA"], after["RS256"])
    assert before["HS256"] == after["HS256"]  # each site must be told of its own
    assert len(out.splitlines()) == 2
    for name in ("EdDSA", "RS256"):
        assert str(after[name]) in out
        assert SigningKey.objects.get(pk=before[name]).state == "retiring"
    assert not any(key.private[20:40] in out for key in SigningKey.objects.exclude(private=""))
    tables.forget()
    assert world.read(token).status_code == 200
    assert [detail["overlap_seconds"] for detail in told("signing-key.retiring")] == [86_400, 86_400]


def test_all_are_rotated_or_none(world: World) -> None:
    ripen()
    make_site("Old", algorithm="RS256")  # its next key is young
    before = signing().pk
    with pytest.raises(CommandError, match=r"RS256: The next key was made a moment ago.*add --now"):
        keys("rotate", "previews")
    assert signing().pk == before
    answer = told_by("rotate", "previews", "--now")
    assert [item["name"] for item in answer["keys"]] == ["EdDSA", "RS256"]
    assert {item["key"] for item in answer["keys"]} == {None}
    assert signing().pk != before


def test_one_algorithm_is_rotated_by_its_name(world: World, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Try again in"):
        keys("rotate", "EdDSA", "--kind", "previews")
    ripen()
    former = signing()
    target = tmp_path / "nothing"
    answer = told_by("rotate", "EdDSA", "--kind", "previews", "--overlap-hours", "2", "--to", str(target))
    assert not target.exists()
    assert (answer["id"], answer["former"], answer["key"]) == (str(signing().pk), str(former.pk), None)
    former.refresh_from_db()
    assert former.retires_at is not None
    assert answer["old_secret_until"] == former.retires_at.isoformat()
    ripen()
    token, ended = world.token(), signing().pk
    out, _ = keys("rotate", "EdDSA", "--kind", "previews", "--overlap-hours", "0")
    assert "until" not in out
    assert f"{ended} is over" in out
    tables.forget()
    assert world.read(token).status_code == 401


def test_a_shared_secret_is_printed_once_or_kept_in_a_file(world: World, tmp_path: Path) -> None:
    site = make_site("Shared", algorithm="HS256").site
    out, err = keys("rotate", str(site.pk), "--kind", "previews", "--overlap-hours", "1")
    (secret,) = out.splitlines()
    waiting = SigningKey.objects.get(site=site, state="pending")
    assert len(secret) == 43
    assert secret not in err
    assert str(waiting.pk) in err
    with pytest.raises(CommandError, match="waits already"):
        keys("rotate", str(site.pk), "--kind", "previews")
    target = tmp_path / "secret"
    answer = told_by(
        "rotate", str(site.pk), "--kind", "previews", "--overlap-hours", "0", "--to", str(target)
    )
    assert (answer["key"], answer["file"]) == (None, str(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(target.read_text().strip()) == 43
    assert answer["id"] == str(SigningKey.objects.get(site=site, state="active").pk)


def test_what_can_not_be_done_is_said_and_changes_nothing(world: World) -> None:
    ripen()
    before = list(SigningKey.objects.order_by("pk").values())
    for arguments in (
        ("rotate", "ES256"), ("rotate", "HS256"), ("rotate", "nothing"), ("rotate", str(world.site.pk)), ("rotate", ""),
        ("rotate", "EdDSA", "--overlap-hours", "721"), ("rotate", "EdDSA", "--overlap-hours=-1"),
        ("retire", str(signing().pk)), ("retire", "nothing"), ("retire", "EdDSA"),
    ):  # fmt: skip
        with pytest.raises(CommandError):
            keys(*arguments, "--kind", "previews")
    with pytest.raises(CommandError, match="one by one"):
        keys("rotate", "api")
    assert list(SigningKey.objects.order_by("pk").values()) == before


def test_a_key_is_retired_once_nothing_that_it_signed_can_be_about(world: World) -> None:
    ripen()
    token = world.token()
    former = signing()
    keys("rotate", "previews")
    with pytest.raises(CommandError, match="last half hour still work"):
        keys("retire", str(former.pk), "--kind", "previews")
    tables.forget()
    assert world.read(token).status_code == 200
    SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - timedelta(minutes=31))
    SigningKey.objects.filter(pk=former.pk).update(activated_at=timezone.now() - LONG_AGO)
    assert told_by("retire", str(former.pk), "--kind", "previews")["retired"] is True
    former.refresh_from_db()
    assert (former.state, former.private) == ("revoked", "")


def test_a_key_that_waits_is_replaced_and_force_ends_one_that_may_be_in_use(world: World) -> None:
    ripen()
    waiting, former = SigningKey.objects.get(state="pending"), signing()
    assert "no token" in keys("retire", str(waiting.pk), "--kind", "previews")[0]
    assert SigningKey.objects.get(state="pending").pk != waiting.pk
    token = world.token()
    keys("rotate", "previews", "--now")
    keys("retire", str(former.pk), "--kind", "previews", "--force")
    tables.forget()
    assert world.read(token).status_code == 401


@pytest.mark.usefixtures("_django_db_helper")
def test_without_a_site_there_is_no_key_to_rotate() -> None:
    with pytest.raises(CommandError, match="no signing key yet"):
        keys("rotate", "previews")
    assert keys("list", "--kind", "previews")[1].strip() == "There is no key of this kind."
