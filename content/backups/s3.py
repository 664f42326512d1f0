"""Backups in S3-compatible storage, by boto3: streams of any length, and a manifest that is only ever put once."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import IO, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from content.backups.errors import BackupError, RefusedError
from content.backups.stores import MANIFEST, NAME

_PIECE: Final = 16 * 1024 * 1024  # bytes of one piece of a long file: 10,000 of them are 160 GB
_MOST_PIECES: Final = 10_000
_OURS: Final = re.compile(f"({NAME.pattern}|objects|proofs)/")
_CONFIG: Final = Config(
    connect_timeout=10,
    read_timeout=60,
    retries={"max_attempts": 5, "mode": "standard"},
    request_checksum_calculation="when_required",  # what others than Amazon understand
    response_checksum_validation="when_required",
)


class S3Store:
    """A prefix of a bucket. A backup without a manifest is a draft: nothing lists it."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @classmethod
    def of(cls, to: str) -> Self:
        """Return the store of an `s3://bucket/prefix?endpoint=…&region=…`."""
        parts = urlsplit(to)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        given = settings.BACKUPS
        try:
            client = boto3.client(
                "s3",
                endpoint_url=options.get("endpoint"),
                region_name=options.get("region", "us-east-1"),
                aws_access_key_id=given.s3_access_key_id or None,  # None: what the machine is given
                aws_secret_access_key=given.s3_secret_access_key or None,
                config=_CONFIG,
            )
        except (BotoCoreError, ValueError) as error:  # one half of a key; an endpoint that is none
            raise BackupError(f"The storage can't be asked ({_why(error)}).") from error
        return cls(client, parts.netloc, parts.path)

    def draft(self, name: str) -> str:
        return name

    @contextlib.contextmanager
    def write(self, key: str) -> Iterator[IO[bytes]]:
        stream = _Upload(self, key)
        try:
            yield stream  # type: ignore[misc]  # it writes, which is all that is asked
            stream.finish()
        except BaseException as error:
            stream.abort()
            if isinstance(error, BotoCoreError | ClientError):
                raise BackupError(f"The storage did not take {key} ({_why(error)}).") from error
            raise

    @contextlib.contextmanager
    def read(self, key: str) -> Iterator[IO[bytes]]:
        try:
            body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
        except (BotoCoreError, ClientError) as error:
            if _status(error) in (0, 408, 429) or _status(error) >= 500:  # that says nothing of the backup
                raise BackupError(f"The storage does not answer ({_why(error)}).") from error
            raise RefusedError(f"{key} is missing, or can't be read ({_why(error)}).") from error
        with contextlib.closing(body):
            yield io.BufferedReader(_Download(body, key), 256 * 1024)

    def size(self, key: str) -> int | None:
        try:
            return int(self.client.head_object(Bucket=self.bucket, Key=self.prefix + key)["ContentLength"])
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise BackupError(f"The storage does not answer ({_why(error)}).") from error
        except BotoCoreError as error:
            raise BackupError(f"The storage does not answer ({_why(error)}).") from error

    def keys(self, prefix: str) -> Iterator[str]:
        return (key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = self.prefix + (f"{prefix}/" if prefix else "")
        for page in self._pages("list_objects_v2", start):
            for item in page.get("Contents", ()):
                yield str(item["Key"])[len(self.prefix) :], int(item["Size"])

    def tops(self) -> Iterator[str]:
        for page in self._pages("list_objects_v2", self.prefix, Delimiter="/"):
            for item in page.get("CommonPrefixes", ()):
                yield str(item["Prefix"])[len(self.prefix) : -1]

    def _pages(self, what: str, prefix: str, **more: str) -> Iterator[Any]:
        try:
            yield from self.client.get_paginator(what).paginate(Bucket=self.bucket, Prefix=prefix, **more)
        except (BotoCoreError, ClientError) as error:
            raise BackupError(f"The storage does not answer ({_why(error)}).") from error

    def remove(self, key: str) -> None:
        try:
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + key)
        except (BotoCoreError, ClientError) as error:
            raise BackupError(f"The storage did not remove {key} ({_why(error)}).") from error

    def publish(self, name: str, manifest: bytes) -> None:
        try:
            self.client.put_object(
                Bucket=self.bucket, Key=f"{self.prefix}{name}/{MANIFEST}", Body=manifest, IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError) as error:
            raise BackupError(f"The storage did not take the manifest ({_why(error)}).") from error

    def withdraw(self, name: str) -> None:
        self.remove(f"{name}/{MANIFEST}")

    def clear_drafts(self) -> int:
        drafts = [
            name for name in self.tops() if NAME.fullmatch(name) and self.size(f"{name}/{MANIFEST}") is None
        ]
        for name in drafts:
            for key in list(self.keys(name)):
                self.remove(key)
        return len(drafts) + self._abort_uploads()

    def _abort_uploads(self) -> int:
        """End uploads of ours that were cut off; without a prefix others may have theirs in the same bucket."""
        uploads = [
            item
            for page in self._pages("list_multipart_uploads", self.prefix)
            for item in page.get("Uploads", ())
            if _OURS.match(str(item["Key"])[len(self.prefix) :])
        ]
        for item in uploads:
            _Upload(self, item["Key"][len(self.prefix) :], upload_id=item["UploadId"]).abort()
        return len(uploads)


class _Upload:
    """A stream into one object: short ones in one request, long ones in pieces."""

    def __init__(self, store: S3Store, key: str, *, upload_id: str = "") -> None:
        self.client, self.bucket, self.key = store.client, store.bucket, store.prefix + key
        self.buffer = bytearray()
        self.upload_id = upload_id
        self.pieces: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        self.buffer += data
        while len(self.buffer) >= _PIECE:
            self._send(bytes(self.buffer[:_PIECE]))
            del self.buffer[:_PIECE]
        return len(data)

    def flush(self) -> None:
        """Do nothing: a piece is sent once it is full."""

    def finish(self) -> None:
        if not self.upload_id:
            self.client.put_object(Bucket=self.bucket, Key=self.key, Body=bytes(self.buffer))
            return
        if self.buffer:
            self._send(bytes(self.buffer))
        self.client.complete_multipart_upload(
            Bucket=self.bucket, Key=self.key, UploadId=self.upload_id, MultipartUpload={"Parts": self.pieces}
        )

    def abort(self) -> None:
        if self.upload_id:
            with contextlib.suppress(BotoCoreError, ClientError):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)

    def _send(self, piece: bytes) -> None:
        if not self.upload_id:
            begun = self.client.create_multipart_upload(Bucket=self.bucket, Key=self.key)
            self.upload_id = str(begun["UploadId"])
        number = len(self.pieces) + 1
        if number > _MOST_PIECES:
            raise BackupError("A file is longer than the storage takes in 10,000 pieces.")
        done = self.client.upload_part(
            Bucket=self.bucket, Key=self.key, UploadId=self.upload_id, PartNumber=number, Body=piece
        )
        self.pieces.append({"PartNumber": number, "ETag": done["ETag"]})


class _Download(io.RawIOBase):
    """The body of an answer as a raw stream, so that a buffer can stand before it."""

    def __init__(self, body: Any, key: str) -> None:
        self.body, self.key = body, key

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self.body.read(len(buffer))
        except (BotoCoreError, OSError) as error:
            raise BackupError(f"{self.key} can't be read to its end ({type(error).__name__}).") from error
        buffer[: len(data)] = data
        return len(data)


def _status(error: Exception) -> int:
    """Return the status of an answer, 0 where none came."""
    found = error.response["ResponseMetadata"] if isinstance(error, ClientError) else {}
    return int(found.get("HTTPStatusCode", 0))


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "refused"))
    return type(error).__name__
