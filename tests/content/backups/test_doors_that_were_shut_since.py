"""Whatever was taken away since a backup was made is not given back by restoring it."""

from collections.abc import Callable

import psycopg
import pytest
from django.conf import LazySettings

from accounts.access import system
from accounts.log import seal_pending
from accounts.models import ApiKey, Policy, Role
from accounts.models.device import Authenticator, RecoveryCodes
from content.backups import keeping
from content.backups.stores import FolderStore
from previews.models import PreviewSite
from tests.builders import make_collection, make_key, make_user
from tests.content.backups.conftest import House, url_with
from tests.previews.world import make_site

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")
SITES = ("Left", "Off", "Same", "Secret")
KEYS = ("same", "narrowed", "nearer")
PEOPLE = ("same", "password", "address", "phone", "recovery", "role")


@pytest.fixture
def restored(place: FolderStore, house: House, settings: LazySettings) -> str:
    """Back up people, keys and a site, restore them, and let nobody change anything yet; return the backup's name."""
    for name in PEOPLE:
        user = make_user(f"{name}@example.com", roles=("administrator",))
        Authenticator.objects.create(user=user, name="phone", secret="v1.k1.x", confirmed=True)
        RecoveryCodes.objects.create(user=user, name="codes", macs=["k1:aa", "k1:bb"], confirmed=True)
    for number, name in enumerate(KEYS):
        make_key(role="administrator")
        ApiKey.objects.filter(pk=ApiKey.objects.order_by("created_at")[number].pk).update(name=name)
    make_collection("articles")
    for name in SITES:
        make_site(name)
    editor, _ = Role.objects.get_or_create(key="editor", defaults={"name": "Editor"})
    Policy.objects.create(role=editor, every_collection=True, actions=["read"], every_field=True)
    seal_pending()
    name = keeping.create(place, by=BY).manifest.name
    house.must("backup", "restore", name)
    change(house)("UPDATE accounts_apikey SET state = 'active', disabled_at = NULL")
    return name


def change(house: House) -> Callable[[str], None]:
    def run(statement: str) -> None:
        with psycopg.connect(url_with("OWNER_DATABASE_URL", house.name), autocommit=True) as connection:
            connection.execute(statement)

    return run


def of(name: str) -> str:
    return f"(SELECT id FROM accounts_user WHERE email = '{name}@example.com')"


def test_what_people_gave_up_lets_nobody_in_and_what_was_narrowed_stays_so(
    restored: str, house: House
) -> None:
    run = change(house)
    run(f"UPDATE accounts_user SET password_changed_at = now(), password = 'x' WHERE id = {of('password')}")
    run(f"UPDATE accounts_user SET email = 'new@example.com' WHERE id = {of('address')}")
    run(f"DELETE FROM accounts_authenticator WHERE user_id = {of('phone')}")
    run(f"UPDATE accounts_recoverycodes SET macs = '{{k1:bb}}' WHERE user_id = {of('recovery')}")
    run(f"DELETE FROM accounts_user_groups WHERE user_id = {of('role')}")
    run("UPDATE accounts_apikey SET scopes = '{\"areas\": [], \"actions\": []}' WHERE name = 'narrowed'")
    run("UPDATE accounts_apikey SET allowed_networks = '[\"192.0.2.0/24\"]' WHERE name = 'nearer'")
    run("UPDATE previews_previewsite SET secret_hash = repeat('a', 64) WHERE name = 'Secret'")
    run("UPDATE previews_previewsite SET state = 'disabled' WHERE name = 'Off'")
    run(
        "UPDATE previews_handoffurl SET url = replace(url, 'www', 'new')"
        " WHERE site_id = (SELECT id FROM previews_previewsite WHERE name = 'Left')"
    )
    run(
        "DELETE FROM accounts_policy WHERE role_id = (SELECT group_ptr_id FROM accounts_role WHERE key = 'editor')"
    )
    report = house.must("backup", "restore", restored, "--replace", "--confirm", restored)

    assert report["people_disabled"] == ["Address", "Password", "Phone", "Recovery"]
    active = house.rows("SELECT email FROM accounts_user WHERE is_active AND NOT is_service ORDER BY email")
    assert active == [("role@example.com",), ("same@example.com",)]
    assert report["roles_taken"] == ["Role"]
    assert house.rows(f"SELECT count(*) FROM accounts_user_groups WHERE user_id = {of('role')}") == [(0,)]
    assert house.rows(f"SELECT count(*) FROM accounts_user_groups WHERE user_id = {of('same')}") == [(1,)]
    assert sorted(item["name"] for item in report["keys_disabled"]) == ["narrowed", "nearer"]
    assert report["keys_kept"] == 1
    assert report["roles_that_differ"] == ["editor"]
    assert any("editor" in step for step in report["next_steps"])
    assert report["sites_disabled"] == ["Left", "Off", "Secret"]
    now = house.rows(
        "SELECT name, state, secret_hash || previous_secret_hash FROM previews_previewsite ORDER BY name"
    )
    assert [state for _, state, _ in now] == ["disabled", "disabled", "active", "disabled"]
    hashes = dict(PreviewSite.objects.values_list("name", "secret_hash"))
    assert [name for name, _, both in now if hashes[name] in both] == ["Same"]
    assert ApiKey.objects.count() == 3
    assert house.must("audit", "verify")["intact"] is True


def test_a_lockdown_that_is_on_in_what_is_replaced_stays_on(restored: str, house: House) -> None:
    house.must("lockdown", "on", "--reason", "somebody is inside")
    report = house.must("backup", "restore", restored, "--replace", "--confirm", restored)
    assert house.rows("SELECT reason FROM accounts_lockdown WHERE off_at IS NULL") == [
        ("somebody is inside",)
    ]
    assert any("lockdown" in step for step in report["next_steps"])


def test_where_nothing_is_left_to_compare_with_it_is_told(
    place: FolderStore, house: House, settings: LazySettings
) -> None:
    make_user("edith@example.com", roles=("administrator",))
    name = keeping.create(place, by=BY).manifest.name
    report = house.must("backup", "restore", name)
    steps = " ".join(report["next_steps"])
    for word in ("passwords", "second factors", "recovery codes", "roles", "client secrets", "erased"):
        assert word in steps, word
    assert report["people_disabled"] == []
