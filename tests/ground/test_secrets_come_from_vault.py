"""Secrets are read from Vault at start; whatever is wrong there is named at once, and no value is shown."""

import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cms_project import environment, vault
from cms_project.environment import EnvironmentFaultsError
from tests import throwaway
from tests.database import ROOT
from tests.vault_server import ROLE_ID, SECRET_ID, TOKEN, VaultServer

KEY = secrets.token_urlsafe(64)
RING = throwaway.values()["QUILLKEEP_KEY_RING"]


@pytest.fixture
def server():
    with VaultServer(cms__keys={"secret_key": KEY, "ring": RING, "number": 5, "empty": " "}) as running:
        yield running


def values(server: VaultServer, **given: str) -> dict[str, str]:
    found = throwaway.values(
        QUILLKEEP_ENVIRONMENT="development",
        ALLOWED_HOSTS="localhost",
        PUBLIC_URL="http://localhost:8000",
        VAULT_ADDR=server.url,
        SECRET_KEY_VAULT="kv/cms/keys#secret_key",
        QUILLKEEP_KEY_RING_VAULT="kv/cms/keys#ring",
        **{"VAULT_TOKEN": TOKEN, **given},
    )
    for form in ("SECRET_KEY", "QUILLKEEP_KEY_RING"):
        del found[form]
    return {name: value for name, value in found.items() if value}


def faults(given: dict[str, str]) -> dict[str, str]:
    with pytest.raises(EnvironmentFaultsError) as caught:
        environment.read(given)
    text = str(caught.value)
    assert "canary" not in text
    assert KEY not in text
    assert TOKEN not in text
    return dict(caught.value.faults)


def test_a_secret_is_read_from_vault_and_each_path_is_asked_once(server: VaultServer) -> None:
    read = environment.read(values(server))
    assert read.secret_key == KEY
    assert read.key_ring[0][0] == "k1"
    assert server.asked == ["/v1/kv/data/cms/keys"]
    assert read.places == {"SECRET_KEY": "SECRET_KEY_VAULT", "QUILLKEEP_KEY_RING": "QUILLKEEP_KEY_RING_VAULT"}


def test_a_program_signs_in_by_an_app_role_and_in_a_namespace(server: VaultServer, tmp_path: Path) -> None:
    (tmp_path / "secret-id").write_text(SECRET_ID, encoding="ascii")
    given = values(
        server,
        VAULT_TOKEN="",
        VAULT_ROLE_ID=ROLE_ID,
        VAULT_SECRET_ID_FILE=str(tmp_path / "secret-id"),
        VAULT_NAMESPACE="team/cms",
    )
    assert environment.read(given).secret_key == KEY
    assert server.asked == ["/v1/auth/approle/login", "/v1/kv/data/cms/keys"]
    assert server.namespaces == ["team/cms"]
    refused = faults({**given, "VAULT_ROLE_ID": "canary-of-another"})
    assert refused["VAULT_ROLE_ID"] == "can't be read: Vault answers with an error (InvalidRequest)"


def test_the_token_may_be_in_a_file(server: VaultServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="ascii")
    given = values(server, VAULT_TOKEN="", VAULT_TOKEN_FILE=str(tmp_path / "token"))
    assert environment.read(given).secret_key == KEY


def test_a_token_that_lies_around_is_not_taken(
    server: VaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".vault-token").write_text(TOKEN, encoding="ascii")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    given = values(server, VAULT_TOKEN="")
    assert set(faults(given)) == {"VAULT_TOKEN", "SECRET_KEY", "QUILLKEEP_KEY_RING"}
    assert server.asked == []


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("kv/cms/keys#other", "SECRET_KEY_VAULT names a key that is not there"),
        ("kv/cms/nothing#secret_key", "SECRET_KEY_VAULT is nothing that Vault has (404)"),
        ("other/cms/keys#secret_key", "SECRET_KEY_VAULT is nothing that Vault has (404)"),
        ("kv/cms/keys#number", "SECRET_KEY_VAULT names no text, an empty one, or one that is too large"),
        ("kv/cms/keys#empty", "SECRET_KEY_VAULT names no text, an empty one, or one that is too large"),
        ("kv/cms/keys", "SECRET_KEY_VAULT must be mount/path#key"),
        ("kv#secret_key", "SECRET_KEY_VAULT must be mount/path#key"),
        ("kv/../sys/keys#secret_key", "SECRET_KEY_VAULT must be mount/path#key"),
    ],
)
def test_a_place_that_holds_nothing_is_a_fault_of_its_name(
    server: VaultServer, place: str, sentence: str
) -> None:
    given = values(server) | {"SECRET_KEY_VAULT": place, "PORT": "0"}
    assert faults(given) == {"SECRET_KEY": sentence, "PORT": "must be a number from 1 to 65535"}
    assert faults(values(server) | {"SECRET_KEY_VAULT": place}).keys() == {"SECRET_KEY"}  # the ring was read


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "is refused by Vault (403): the token lacks the right, or is over"),
        (503, "can't be read: Vault is sealed or starts (503)"),
        (500, "can't be read: Vault answers with an error (InternalServerError)"),
        (429, "can't be read: Vault answers with an error (RateLimitExceeded)"),
    ],
)
def test_a_server_that_refuses_is_named_without_what_it_says(
    server: VaultServer, status: int, sentence: str
) -> None:
    server.status = status
    assert faults(values(server)) == {
        "SECRET_KEY": f"SECRET_KEY_VAULT {sentence}",
        "QUILLKEEP_KEY_RING": f"QUILLKEEP_KEY_RING_VAULT {sentence}",
    }


@pytest.mark.parametrize(
    "raw", [b"no JSON", b"[]", b'{"data": []}', b'{"data": {"data": "text"}}', b"{" * 100_000]
)
def test_an_answer_of_another_form_is_a_fault(server: VaultServer, raw: bytes) -> None:
    server.raw = raw
    assert set(faults(values(server))) == {"SECRET_KEY", "QUILLKEEP_KEY_RING"}


@pytest.mark.parametrize("errors", [[{"canary": 1}], 5, "canary", {"canary": []}])
def test_an_error_of_another_form_is_a_fault_too(server: VaultServer, errors: object) -> None:
    server.status, server.errors = 400, errors
    assert set(faults(values(server))) == {"SECRET_KEY", "QUILLKEEP_KEY_RING"}


def test_an_answer_without_end_is_cut_off(server: VaultServer) -> None:
    server.raw = b" " * (vault.LARGEST_ANSWER + 1)
    assert "does not answer" in faults(values(server))["SECRET_KEY"]


def test_an_answer_that_breaks_off_is_a_fault(server: VaultServer) -> None:
    server.missing = 5
    assert "does not answer" in faults(values(server))["SECRET_KEY"]


def test_the_token_does_not_follow_a_redirect(server: VaultServer) -> None:
    with VaultServer(cms__keys={"secret_key": KEY, "ring": RING}) as other:
        server.redirect_to = f"{other.url}/v1/kv/data/cms/keys"
        assert set(faults(values(server))) == {"SECRET_KEY", "QUILLKEEP_KEY_RING"}
        assert other.asked == []


def test_a_server_that_is_silent_stops_the_start_in_seconds(
    server: VaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "TIMEOUT", (0.2, 0.2))
    server.delay = 1.0
    assert "does not answer (ReadTimeout)" in faults(values(server))["SECRET_KEY"]


def test_a_server_that_is_not_there_is_a_fault(server: VaultServer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert "does not answer (ConnectionError)" in faults(values(server) | {"VAULT_ADDR": gone})["SECRET_KEY"]


def test_it_is_https_outside_development(server: VaultServer) -> None:
    given = values(server) | {
        "QUILLKEEP_ENVIRONMENT": "production",
        "ALLOWED_HOSTS": "cms.example.com",
        "PUBLIC_URL": "https://cms.example.com",
    }
    found = faults(given)
    assert found["VAULT_ADDR"] == "must be https outside development"
    assert found["SECRET_KEY"] == "SECRET_KEY_VAULT can't be read: Vault can't be asked, see VAULT_ADDR"
    assert server.asked == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"VAULT_ADDR": ""}, "VAULT_ADDR"),
        ({"VAULT_ADDR": "canary"}, "VAULT_ADDR"),
        ({"VAULT_TOKEN": ""}, "VAULT_TOKEN"),
        ({"VAULT_ROLE_ID": "canary", "VAULT_SECRET_ID": "canary"}, "VAULT_TOKEN"),
        ({"VAULT_TOKEN": "", "VAULT_ROLE_ID": "canary"}, "VAULT_SECRET_ID"),
        ({"VAULT_CACERT": "/nonexistent/canary"}, "VAULT_CACERT"),
        ({"VAULT_TOKEN_FILE": "/nonexistent/canary"}, "VAULT_TOKEN"),
    ],
)
def test_what_is_wrong_with_the_way_to_vault_is_listed_once(
    server: VaultServer, change: dict[str, str], name: str
) -> None:
    given = {key: value for key, value in (values(server) | change).items() if value}
    assert [fault for fault in faults(given) if fault.startswith("VAULT_")] == [name]


def test_two_ways_to_one_secret_are_one_too_many(server: VaultServer) -> None:
    assert faults(values(server) | {"SECRET_KEY": KEY}) == {
        "SECRET_KEY": "is given twice, also as SECRET_KEY_VAULT"
    }


def test_what_vault_needs_itself_is_never_in_vault(server: VaultServer) -> None:
    given = {name: value for name, value in values(server).items() if name != "VAULT_TOKEN"}
    assert "VAULT_TOKEN" in faults(given | {"VAULT_TOKEN_VAULT": "kv/cms/keys#secret_key"})


def test_without_the_package_its_name_is_said(server: VaultServer, tmp_path: Path) -> None:
    (tmp_path / "hvac.py").write_text("raise ImportError('canary')\n", encoding="ascii")
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={"PATH": "", "PYTHONPATH": str(tmp_path), "DATA_DIR": str(tmp_path), **values(server)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "VAULT_ADDR: needs the package hvac: install quillkeep[vault]" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr


def test_a_command_starts_with_its_secrets_from_vault(server: VaultServer, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={"PATH": "", "DATA_DIR": str(tmp_path), **values(server)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr


def test_nobody_else_loads_the_client(tmp_path: Path) -> None:
    script = "import cms_project.settings, sys; print('hvac' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "", "DATA_DIR": str(tmp_path), **throwaway.values()},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "False False", done.stderr
