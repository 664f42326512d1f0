"""Backups in S3-compatible storage: the same backup, and one without a manifest is none."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import LazySettings
from moto.server import ThreadedMotoServer

from accounts.access import system
from content.backups import keeping, s3, verifying
from content.backups.errors import BackupError, RefusedError
from content.backups.s3 import S3Store
from content.backups.stores import FolderStore, names, store

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")


@pytest.fixture
def bucket(place: FolderStore, settings: LazySettings) -> Iterator[S3Store]:
    """Return a store in a bucket of a server of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    name = f"backups-{uuid4()}"  # one process, one memory: another test's would be there still
    settings.BACKUPS = replace(
        settings.BACKUPS,
        to=f"s3://{name}/house/one?endpoint=http://{host}:{port}",
        s3_access_key_id="a",
        s3_secret_access_key="b",
    )
    found = store()
    assert isinstance(found, S3Store)
    found.client.create_bucket(Bucket=found.bucket)
    yield found
    server.stop()


def test_a_backup_goes_there_and_is_whole(content: None, bucket: S3Store, settings: LazySettings) -> None:
    (Path(settings.MEDIA_ROOT) / "one").write_bytes(os.urandom(5000))
    made = keeping.create(bucket, by=BY)
    assert names(bucket) == [made.manifest.name]
    assert verifying.verify(bucket, made.manifest.name).is_whole
    assert keeping.create(bucket, by=BY).new_objects == 0


def test_long_files_go_in_pieces(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PIECE", 5 * 1024 * 1024)
    data = os.urandom(12 * 1024 * 1024)
    with bucket.write("objects/long") as stream:
        for start in range(0, len(data), 100_000):
            stream.write(data[start : start + 100_000])
    with bucket.read("objects/long") as stream:
        assert stream.read() == data


def test_what_fails_in_the_middle_is_not_there(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PIECE", 5 * 1024 * 1024)

    def fail() -> None:
        with bucket.write("objects/long") as stream:
            stream.write(os.urandom(6 * 1024 * 1024))
            raise OSError("the pipe broke")

    with pytest.raises(OSError, match="pipe"):
        fail()
    assert bucket.size("objects/long") is None
    assert not bucket.client.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")


def test_a_backup_without_a_manifest_is_cleared_by_the_next_one(content: None, bucket: S3Store) -> None:
    name = keeping.create(bucket, by=BY).manifest.name
    bucket.remove(f"{name}/manifest.json")
    assert names(bucket) == []
    assert keeping.create(bucket, by=BY).cleared == 1
    assert bucket.size(f"{name}/database.age") is None


def test_flipped_bits_and_missing_files_are_found(content: None, bucket: S3Store) -> None:
    name = keeping.create(bucket, by=BY).manifest.name
    with bucket.read(f"{name}/database.age") as stream:
        raw = bytearray(stream.read())
    raw[100] ^= 1
    with bucket.write(f"{name}/database.age") as stream:
        stream.write(bytes(raw))
    assert not verifying.verify(bucket, name).is_whole
    bucket.remove(f"{name}/database.age")
    assert not verifying.verify(bucket, name).is_whole


def test_a_manifest_is_put_once(bucket: S3Store) -> None:
    bucket.publish("20260101T000000Z-test-abcdef", b"1")
    with pytest.raises(BackupError, match="PreconditionFailed"):
        bucket.publish("20260101T000000Z-test-abcdef", b"2")


def test_a_storage_that_is_away_is_one_sentence(bucket: S3Store, settings: LazySettings) -> None:
    bucket.client.delete_bucket(Bucket=bucket.bucket)
    with pytest.raises(BackupError, match="NoSuchBucket"):
        keeping.create(bucket, by=BY)
    with pytest.raises((RefusedError, BackupError)), bucket.read("x"):
        pass
