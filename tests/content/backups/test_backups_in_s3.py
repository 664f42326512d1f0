"""Backups in S3-compatible storage: the same backup, and one without a manifest is none."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.conf import LazySettings
from moto.server import ThreadedMotoServer

from accounts.access import system
from content.backups import keeping, s3, verifying
from content.backups.errors import BackupError, RefusedError
from content.backups.s3 import S3Store
from content.backups.stores import FolderStore, names, store
from content.models import Backup

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


def test_a_second_backup_asks_for_no_media_file_by_itself(
    bucket: S3Store, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At ten milliseconds each a million files would be hours, every day."""
    for number in range(5):
        (Path(settings.MEDIA_ROOT) / f"file-{number}").write_bytes(os.urandom(100))
    keeping.create(bucket, by=BY)
    asked = []
    head = bucket.client.head_object

    def asking(**of: str) -> Any:
        asked.append(of["Key"])
        return head(**of)

    monkeypatch.setattr(bucket.client, "head_object", asking)
    assert keeping.create(bucket, by=BY).new_objects == 0
    assert asked
    assert [key for key in asked if "/objects/" in key] == []


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


def answering(status: int) -> Any:
    """Return what stands for `get_object` of a storage that answers so; 0 for one that does not answer."""

    def get_object(**_: str) -> None:
        if not status:
            raise EndpointConnectionError(endpoint_url="https://s3.example.com")
        raise ClientError(
            {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
        )

    return get_object


@pytest.mark.parametrize("status", [0, 429, 503])
def test_a_storage_that_is_away_for_a_moment_damages_nothing(
    status: int, bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = keeping.create(bucket, by=BY).manifest.name
    monkeypatch.setattr(bucket.client, "get_object", answering(status))
    for act in (lambda: keeping.verify(bucket, name, by=BY), lambda: keeping.sync(bucket, by=BY)):
        with pytest.raises(BackupError, match="does not answer"):
            act()
    assert Backup.objects.get(name=name).is_whole
    monkeypatch.setattr(
        bucket.client, "get_object", answering(403)
    )  # of this one it says that nobody gets it
    assert not keeping.verify(bucket, name, by=BY).is_whole


def test_only_our_own_uploads_that_were_cut_off_are_ended(bucket: S3Store) -> None:
    whole = S3Store(bucket.client, bucket.bucket, "")
    for key in ("somebody/else", f"objects/aa/{'a' * 64}.age"):
        whole.client.create_multipart_upload(Bucket=whole.bucket, Key=key)
    assert whole.clear_drafts() == 1
    left = whole.client.list_multipart_uploads(Bucket=whole.bucket)["Uploads"]
    assert [item["Key"] for item in left] == ["somebody/else"]


def test_a_storage_that_lists_no_uploads_and_half_a_key_are_one_sentence_each(
    bucket: S3Store, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")
    monkeypatch.setattr(bucket.client, "list_multipart_uploads", lambda **_: (_ for _ in ()).throw(refused))
    with pytest.raises(BackupError, match="AccessDenied"):
        keeping.create(bucket, by=BY)
    settings.BACKUPS = replace(settings.BACKUPS, s3_secret_access_key="")
    with pytest.raises(BackupError, match="PartialCredentialsError"):
        store()
