"""A restore that is killed anywhere leaves something from which one command leads on: back, or to its end."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from django.conf import LazySettings
from psycopg import sql

from accounts.access import system
from accounts.log import seal_pending
from cms_project import restored_doors, restoring
from content.backups import keeping
from content.backups.stores import FolderStore
from tests.builders import make_user
from tests.content.backups.conftest import House, Keys, url_with

BY = system("a test")


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half(*_: object, **__: object) -> None:
    restoring._present().rename(restoring._aside())
    die()


def be_impatient() -> None:
    restoring.PATIENCE = timedelta(milliseconds=500)  # type: ignore[misc]  # final for everybody else


# Where it ends, hard, in the place of what it would call: module, name, and what is called instead.
BEFORE_THE_DOORS: Final = (restored_doors, "shut", die)
HALF_WAY_THROUGH_THE_FILES: Final = (restoring, "_put_media", half)
BEFORE_THE_END: Final = (restoring, "_let_go", die)
EVERYWHERE: Final = {
    "before the doors": BEFORE_THE_DOORS,
    "half way through the files": HALF_WAY_THROUGH_THE_FILES,
    "before the end": BEFORE_THE_END,
}
Where = tuple[Any, str, Callable[..., None]]


@dataclass
class Kept:
    """What the first test has made: a backup, and a house as it was after restoring it."""

    folder: Path
    name: str = ""
    database: str = ""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    yield kept
    if kept.database:
        with psycopg.connect(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"], autocommit=True) as administrator:
            administrator.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(kept.database)))


@pytest.fixture(scope="module")
def keys() -> Keys:
    """One pair for all: they share a backup."""
    return Keys()


@pytest.fixture
def made(place: FolderStore, settings: LazySettings, no_golden: None, kept: Kept) -> str:
    if not kept.name:
        make_user("edith@example.com", roles=("administrator",))
        (Path(settings.MEDIA_ROOT) / "file").write_bytes(b"of the backup")
        seal_pending()
        kept.name = keeping.create(place, by=BY).manifest.name
        shutil.copytree(place.folder, kept.folder / "backups")
    else:
        shutil.copytree(kept.folder / "backups", place.folder, dirs_exist_ok=True)
    return kept.name


@pytest.fixture
def lived_in(made: str, house: House, kept: Kept, database: Callable[..., str]) -> House:
    """Return a house where something was written after a restore."""
    if not kept.database:
        house.must("backup", "restore", made)
        shutil.copytree(house.data, kept.folder / "house")
        kept.database = f"kept_{house.name}"
        with psycopg.connect(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"], autocommit=True) as administrator:
            administrator.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(kept.database), sql.Identifier(house.name)
                )
            )
    else:
        assert database("house", kept.database) == house.name
        shutil.copytree(kept.folder / "house", house.data, dirs_exist_ok=True)
    (house.data / "media" / "file").write_bytes(b"of the house")
    write(house, "the house")
    return house


def write(house: House, name: str) -> None:
    with psycopg.connect(url_with("OWNER_DATABASE_URL", house.name), autocommit=True) as connection:
        connection.execute("UPDATE accounts_user SET name = %s", [name])


def name_in(house: House) -> str:
    return str(house.rows("SELECT name FROM accounts_user WHERE email = 'edith@example.com'")[0][0])


def cut_off(house: House, name: str, where: Where) -> None:
    done = house.manage(
        "backup", "restore", name, "--replace", "--confirm", name, before=lambda: setattr(*where)
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def leftovers(house: House) -> list[str]:
    return sorted(path.name for path in house.data.glob("media?*"))


@pytest.mark.parametrize("where", EVERYWHERE.values(), ids=EVERYWHERE)
def test_undoing_brings_back_rows_and_files_as_they_were(where: Where, made: str, lived_in: House) -> None:
    cut_off(lived_in, made, where)
    refused = lived_in.manage("backup", "restore", made, "--replace", "--confirm", made)
    assert "--undo" in refused.stderr
    lived_in.must("backup", "restore", "--undo")
    assert name_in(lived_in) == "the house"
    assert (lived_in.data / "media" / "file").read_bytes() == b"of the house"
    assert leftovers(lived_in) == []
    assert lived_in.must("audit", "verify")["intact"] is True


@pytest.mark.parametrize("where", [BEFORE_THE_DOORS, BEFORE_THE_END])
def test_nothing_starts_on_it_until_somebody_decided(where: Where, made: str, lived_in: House) -> None:
    """Migrating would make a new house beside the one that is kept, and a web process would open its doors."""
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    cut_off(lived_in, made, where)
    before = lived_in.rows(tables)
    for command in (("migrate",), ("audit", "verify"), ("security", "check")):
        refused = lived_in.manage(*command)
        assert refused.returncode == 2, refused.stderr
        assert "`manage.py backup restore --undo`" in refused.stderr
        assert "Traceback" not in refused.stderr
    refused = lived_in.manage(  # keys that were revoked since would open something there too
        "audit", "verify", QUILLKEEP_PLANE="delivery", DATABASE_URL="", OWNER_DATABASE_URL=""
    )
    assert refused.returncode == 2, refused.stderr
    assert "DELIVERY_DATABASE_URL: leads to a database in which a restore was cut off" in refused.stderr
    assert lived_in.rows(tables) == before
    lived_in.must("backup", "restore", "--undo")
    assert lived_in.manage("migrate").returncode == 0
    assert name_in(lived_in) == "the house"


def test_what_was_whole_can_be_kept_and_is_never_undone_once_it_is_used(made: str, lived_in: House) -> None:
    cut_off(lived_in, made, HALF_WAY_THROUGH_THE_FILES)
    with psycopg.connect(url_with("OWNER_DATABASE_URL", lived_in.name), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO accounts_event SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(),"
            " 'at', now()))).* FROM accounts_event e LIMIT 1"
        )
    refused = lived_in.manage("backup", "restore", "--undo")
    assert refused.returncode == 1
    assert "--finish" in refused.stderr
    lived_in.must("backup", "restore", "--finish")
    assert name_in(lived_in) != "the house"
    assert (lived_in.data / "media" / "file").read_bytes() == b"of the backup"
    assert leftovers(lived_in) == []
    assert "nothing to undo" in lived_in.manage("backup", "restore", "--undo").stderr


def test_what_was_not_whole_can_not_be_kept(made: str, lived_in: House) -> None:
    cut_off(lived_in, made, BEFORE_THE_DOORS)
    refused = lived_in.manage("backup", "restore", "--finish")
    assert refused.returncode == 1
    assert "--undo" in refused.stderr
    with psycopg.connect(url_with("DATABASE_URL", lived_in.name), autocommit=True):
        refused = lived_in.manage("backup", "restore", "--undo", before=be_impatient)
        assert "Stop all of them" in refused.stderr
    lived_in.must("backup", "restore", "--undo")
    assert name_in(lived_in) == "the house"


def test_a_position_that_can_not_be_is_refused_before_anything_is_done(made: str, house: House) -> None:
    for position in (-1, 2**52, 2**80):
        refused = house.manage("backup", "restore", made, "--known-position", str(position))
        assert refused.returncode == 1
        assert "position of the log is a number" in refused.stderr
    assert house.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
