"""Events reach a SIEM in order and each at least once, by real receivers that also fail as real ones do."""

import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.db import connections, transaction
from django.utils import timezone

from accounts import tasks
from accounts.access import system
from accounts.alerting import reading
from accounts.audit import streaming, syslog
from accounts.audit.syslog import Message
from accounts.log import Subject, record, seal_pending
from accounts.models import Alert, Event, Position
from cms_project.environment import StreamTarget
from tests import certificates

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def write(number: int = 3, **detail: Any) -> None:
    for count in range(number):
        with transaction.atomic():
            record(f"a.{count}", actor=system("a test"), subject=Subject("thing", "1"), detail=detail)
    seal_pending()


def position() -> int:
    return Position.objects.of(streaming.CONSUMER)


class Receiver:
    """A syslog receiver by TCP or TLS. `mode`: reads all, `closes` at once, `resets` after some bytes, or `hangs`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.mode = "reads"
        self.received: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._is_over = threading.Event()
        self.hangs_on = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._is_over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or who waits in `accept` takes one more
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                self.connections += 1
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        if self.mode == "resets":
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        if self.mode == "hangs":
            self.hangs_on.wait(10)
            connection.close()
            return
        if self.mode == "closes":
            connection.close()
            return
        stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
        whole = b""
        while chunk := stream.recv(65536):
            whole += chunk
        self.received += _frames(whole)
        if isinstance(stream, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                stream.unwrap()
        stream.close()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [_body(item) for item in self.received]


def _frames(whole: bytes) -> list[bytes]:
    """Undo octet counting (RFC 6587, section 3.4.1)."""
    found = []
    while whole:
        length, _, rest = whole.partition(b" ")
        found.append(rest[: int(length)])
        whole = rest[int(length) :]
    return found


def _body(message: bytes) -> dict[str, Any]:
    """Read a message of RFC 5424: seven words, then the text."""
    header = message.split(b" ", 7)
    assert len(header) == 8, message
    assert header[0] in (b"<109>1", b"<108>1")
    assert header[3:5] == [b"quillkeep", b"-"]
    body: dict[str, Any] = json.loads(header[7])
    assert header[1].decode() == body["at"]
    assert header[5].decode() == body["type"][:32]
    return body


@pytest.fixture
def receiver(settings: LazySettings) -> Iterator[Receiver]:
    one = Receiver()
    settings.AUDIT_STREAM_TO = StreamTarget("tcp", "127.0.0.1", one.port)
    yield one
    one.close()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SECONDS", 0.5)


def test_each_event_arrives_in_order_with_what_proves_it(receiver: Receiver) -> None:
    write(5, words="ünïcode \u2028 <x>")
    tasks.stream_log()
    assert [body["position"] for body in receiver.bodies] == [1, 2, 3, 4, 5]
    first = receiver.bodies[0]
    assert first["type"] == "a.0"
    assert first["environment"] == "development"
    assert first["detail"] == {"words": "ünïcode \u2028 <x>"}
    assert len(first["mac"]) == 64
    assert all(byte < 128 for byte in receiver.received[0])
    assert position() == 5
    tasks.stream_log()
    assert len(receiver.received) == 5
    write(1)
    tasks.stream_log()
    assert [body["position"] for body in receiver.bodies] == [1, 2, 3, 4, 5, 6]


def test_many_events_go_in_batches_one_connection_each(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "BATCH", 4)
    write(10)
    assert streaming.stream_due() == 10
    assert [body["position"] for body in receiver.bodies] == list(range(1, 11))
    assert receiver.connections == 3


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("mode", ["closes", "resets", "hangs"])
def test_what_was_not_read_to_its_end_is_sent_again_and_nothing_is_left_out(
    receiver: Receiver, mode: str
) -> None:
    write(300, words="x" * 2000)  # more than the buffers of both sides take in at once
    receiver.mode = mode
    assert streaming.stream_due() == 0
    assert position() == 0
    receiver.mode = "reads"
    receiver.hangs_on.set()
    assert streaming.stream_due() == 300
    assert [body["position"] for body in receiver.bodies] == list(range(1, 301))


def test_a_receiver_that_is_away_is_an_alert_after_a_while_told_once(
    receiver: Receiver, settings: LazySettings
) -> None:
    receiver.close()
    write(3)
    assert streaming.stream_due() == 0
    assert not Event.objects.filter(type=streaming.NOT_STREAMED).exists()
    late = timezone.now() + timedelta(minutes=11)
    with time_machine.travel(late):
        for _ in range(3):
            streaming.stream_due()
        assert Event.objects.filter(type=streaming.NOT_STREAMED).count() == 1
        seal_pending()
        reading.raise_due()
        alert = Alert.objects.get(rule="log-not-streamed")
        assert "ConnectionRefusedError" in alert.sentence
        assert streaming.is_behind()
        back = Receiver()
        settings.AUDIT_STREAM_TO = StreamTarget("tcp", "127.0.0.1", back.port)
        assert streaming.stream_due() > 3
        types = [body["type"] for body in back.bodies]
        assert types[:3] == ["a.0", "a.1", "a.2"]
        assert streaming.NOT_STREAMED in types
        assert Event.objects.filter(type=streaming.STREAMED_AGAIN).count() == 1
        back.close()


def test_tls_is_verified_and_ends_in_order(settings: LazySettings, tmp_path: Path) -> None:
    made = certificates.make(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    one = Receiver(context)
    write(40, words="x" * 500)
    settings.AUDIT_STREAM_TO = StreamTarget("tls", "127.0.0.1", one.port, str(made.authority))
    assert streaming.stream_due() == 40
    assert [body["position"] for body in one.bodies] == list(range(1, 41))
    write(1)
    for target in (
        StreamTarget("tls", "127.0.0.1", one.port),  # an authority that nobody trusts
        StreamTarget("tls", "localhost.localdomain", one.port, str(made.authority))
        if _resolves("localhost.localdomain")
        else None,
        StreamTarget("tls", "127.0.0.1", one.port, str(tmp_path / "nothing.pem")),
    ):
        if target is not None:
            settings.AUDIT_STREAM_TO = target
            assert streaming.stream_due() == 0, target
    assert len(one.received) == 40
    plain = Receiver()
    settings.AUDIT_STREAM_TO = StreamTarget("tls", "127.0.0.1", plain.port, str(made.authority))
    plain.mode = "closes"
    assert streaming.stream_due() == 0
    assert position() == 40
    one.close()
    plain.close()


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 0)
    except (OSError, RuntimeError):
        return False
    return True


def test_datagrams_carry_one_event_each_and_a_closed_port_is_noticed(settings: LazySettings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(2)
        settings.AUDIT_STREAM_TO = StreamTarget("udp", "127.0.0.1", one.getsockname()[1])
        write(2)
        with transaction.atomic():
            record("a.large", actor=system("a test"), subject=None, detail={"words": "x" * 70_000})
        seal_pending()
        assert streaming.stream_due() == 3
        bodies = [_body(one.recv(65_536)) for _ in range(3)]
    assert [body["position"] for body in bodies] == [1, 2, 3]
    assert bodies[2]["detail"] == {"is_cut": True}
    write(1)
    assert streaming.stream_due() == 0  # nobody listens there now, and the kernel says so
    assert position() == 3


def test_standard_output_gets_lines_also_through_a_pipe_that_is_slow(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr("sys.__stdout__", out)
        settings.AUDIT_STREAM_TO = StreamTarget("stdout")
        write(100, words="x" * 3000)
        found: list[bytes] = []

        def read() -> None:
            with os.fdopen(reader, "rb") as lines:
                for line in lines:
                    time.sleep(0.001)
                    found.append(line)

        thread = threading.Thread(target=read)
        thread.start()
        assert streaming.stream_due() == 100
    thread.join(5)
    assert [json.loads(line)["position"] for line in found] == list(range(1, 101))


def test_whole_lines_go_into_a_pipe_that_others_write_to(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = []

    def write_piece(_: int, piece: bytes) -> int:
        pieces.append(bytes(piece))
        return len(piece)

    settings.AUDIT_STREAM_TO = StreamTarget("stdout")
    write(20, words="x" * 500)
    monkeypatch.setattr("accounts.audit.syslog.os.write", write_piece)
    assert streaming.stream_due() == 20
    assert [json.loads(piece)["position"] for piece in pieces] == list(range(1, 21))


@pytest.mark.usefixtures("_impatient")
def test_a_pipe_that_nobody_reads_is_given_up_in_time(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr("sys.__stdout__", out)
        settings.AUDIT_STREAM_TO = StreamTarget("stdout")
        write(100, words="x" * 3000)
        began = time.monotonic()
        assert streaming.stream_due() == 0
        assert time.monotonic() - began < 5
        assert position() == 0
        os.close(reader)
        assert streaming.stream_due() == 0  # a pipe without a reader


def test_one_worker_streams_at_a_time(receiver: Receiver) -> None:
    write(3)
    Position.objects.bulk_create([Position(consumer=streaming.CONSUMER)])
    with transaction.atomic(using="owner"):
        Position.objects.using("owner").select_for_update().get(consumer=streaming.CONSUMER)
        assert streaming.stream_due() == 0  # at once: it waits for nobody
    assert streaming.stream_due() == 3
    assert len(receiver.received) == 3


def test_an_event_that_can_not_be_read_stops_nothing(receiver: Receiver) -> None:
    write(3)
    second = Event.objects.get(type="a.1")
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET at = 'infinity' WHERE id = %s", [second.pk])
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    assert streaming.stream_due() == 3
    assert [json.loads(item.split(b" ", 7)[7])["position"] for item in receiver.received] == [1, 2, 3]
    assert json.loads(receiver.received[1].split(b" ", 7)[7])["is_unreadable"] is True


def test_without_a_target_nothing_is_sent_and_nothing_waits(
    receiver: Receiver, settings: LazySettings
) -> None:
    write(3)
    tasks.stream_log()
    settings.AUDIT_STREAM_TO = None
    write(3)
    tasks.stream_log()
    assert len(receiver.received) == 3
    assert not Position.objects.filter(consumer=streaming.CONSUMER).exists()  # or archiving would wait for it
    assert not streaming.is_behind()


def test_names_that_are_no_words_of_a_header_are_made_some() -> None:
    message = Message(timezone.now(), "an event\nof a kind ü" + "x" * 50, b"{}", b"{}")
    assert len(syslog.frame(message, host="h").split(b" ")[5]) <= 32
    assert syslog.frame(message, host="h").count(b"\n") == 0
    alert = Message(timezone.now(), "security.alert", b"{}", b"{}")
    assert syslog.frame(alert, host="h").startswith(b"<108>1 ")
