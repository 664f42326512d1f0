"""`make run` writes var/env anew at each start, and loses nothing in it that is somebody's own."""

from pathlib import Path

import pytest
from pyrage import x25519

from cms_project import environment
from cms_project.run import Supervisor

GIVEN = {"DATABASE_URL": "postgresql://a@b/c", "VALKEY_URL": "redis://b/0"}  # so that no servers are started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var"


def started(folder: Path, **given: str) -> dict[str, str]:
    """Return what processes get from a start in a folder."""
    folder.mkdir(exist_ok=True)
    return Supervisor({**GIVEN, "DATA_DIR": str(folder), **given}).environment()


def written(folder: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    environment.load_file(folder / "env", values)
    return values


def write(folder: Path, **values: str) -> None:
    lines = {**written(folder), **values}
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in lines.items() if value))


def test_keys_are_made_once(folder: Path) -> None:
    first, second = started(folder), started(folder)
    assert first == second
    assert first["BACKUP_TO"] == f"file://{folder}/backups"
    made = x25519.Identity.from_str(first["BACKUP_IDENTITY"])
    assert first["BACKUP_RECIPIENTS"] == str(made.to_public())


def test_what_somebody_wrote_into_the_file_stays(folder: Path) -> None:
    started(folder)
    public = str(x25519.Identity.generate().to_public())
    write(folder, BACKUP_TO="file:///srv/backups", BACKUP_RECIPIENTS=public, BACKUP_IDENTITY="")
    write(folder, AUDIT_HEAD_TO="file:///srv/heads/")
    for values in (started(folder), started(folder), written(folder)):
        assert values["BACKUP_TO"] == "file:///srv/backups"
        assert values["BACKUP_RECIPIENTS"] == public
        assert values["AUDIT_HEAD_TO"] == "file:///srv/heads/"
        assert "BACKUP_IDENTITY" not in values  # somebody keeps it elsewhere


def test_other_recipients_for_once_lose_no_private_key(folder: Path) -> None:
    identity = started(folder)["BACKUP_IDENTITY"]
    public = str(x25519.Identity.generate().to_public())
    values = started(folder, BACKUP_RECIPIENTS=public)
    assert values["BACKUP_RECIPIENTS"] == public
    assert "BACKUP_IDENTITY" not in values  # it would prove nothing of what is made now
    assert written(folder)["BACKUP_IDENTITY"] == identity
    assert started(folder)["BACKUP_IDENTITY"] == identity


def test_the_public_key_that_somebody_wrote_stays_where_its_private_key_is_given(folder: Path) -> None:
    started(folder)
    theirs = x25519.Identity.generate()
    write(folder, BACKUP_RECIPIENTS=str(theirs.to_public()))
    assert started(folder, BACKUP_IDENTITY=str(theirs))["BACKUP_RECIPIENTS"] == str(theirs.to_public())
    assert written(folder)["BACKUP_RECIPIENTS"] == str(theirs.to_public())


def test_a_folder_that_was_copied_elsewhere_keeps_its_backups_there(folder: Path, tmp_path: Path) -> None:
    keys = started(folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "env").write_bytes((folder / "env").read_bytes())
    values = started(other)
    assert values["BACKUP_TO"] == f"file://{other}/backups"
    assert values["BACKUP_IDENTITY"] == keys["BACKUP_IDENTITY"]


def test_a_command_beside_it_knows_its_port(folder: Path) -> None:
    assert started(folder, PORT="8077")["PORT"] == "8077"
    assert written(folder)["PORT"] == "8077"
    assert started(folder)["PORT"] == "8000"  # for that start alone
    assert written(folder)["PORT"] == "8000"
