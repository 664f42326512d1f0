"""What `deploy/` says of processes, names and limits is what the application knows."""

import configparser
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from cms_project import environment, process
from cms_project.run import FOR_OWNERS, FOR_THE_KEEPER, HEADER_READ_MILLISECONDS, KEEPER, OWNERS, allowed
from tests import throwaway
from tests.database import ROOT
from tests.deploy.programs import DEPLOY, run

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: item for name, item in SERVICES.items() if item["image"].startswith("quillkeep")}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMMON = DEPLOY / "systemd/quillkeep-.service.d/common.conf"
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
HARDENED = [
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateUsers=yes",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "User=quillkeep",
    "UMask=0077",
    "KillMode=mixed",
    "LimitCORE=0",
    "ReadWritePaths=/var/lib/quillkeep",
]


def names_in(values: dict[str, str]) -> set[str]:
    return {name.removesuffix("_FILE") for name in values}


def command_of(service: dict[str, Any]) -> str:
    return str(service["command"][0])


# --- compose.yaml --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_is_told_names_that_the_environment_knows(name: str) -> None:
    service = OURS[name]
    assert names_in(service["environment"]) <= set(environment.NAMES)
    for variable, value in service["environment"].items():
        if variable.endswith("_FILE"):
            assert str(value).removeprefix("/run/secrets/") in service["secrets"], variable
    shown = {variable for variable in service["environment"] if not variable.endswith("_FILE")}
    assert not {
        item for item in shown if re.search("SECRET|KEY_RING|DATABASE|VALKEY|EMAIL_URL|IDENTITY", item)
    }
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[a-z0-9/-]+:\d[\w.-]*", service["image"]), "an image with a version"
    assert service.get("user", "1") != "0"
    assert "network_mode" not in service
    assert not [item for item in service.get("volumes", ()) if "docker.sock" in item]
    assert service["healthcheck"] if name not in OURS else True
    if name != "nginx":
        assert "ports" not in service, "only nginx is reached from outside"


def test_secrets_go_to_the_processes_that_need_them_alone() -> None:
    for name, service in OURS.items():
        held = names_in(service["environment"])
        is_owner = name in (*OWNERS, "migrate")
        assert bool(held & set(FOR_OWNERS)) == is_owner, name
        if name != KEEPER:
            assert not held & set(FOR_THE_KEEPER), name
        if name.startswith("delivery"):
            assert "DATABASE_URL" not in held, "it reads what is published, and nothing else"
            assert "data:/data" not in service["volumes"]


def test_every_process_is_in_compose_and_nothing_else_is() -> None:
    commands = {command_of(service) for name, service in OURS.items() if name != "migrate"}
    assert commands == set(process.NAMES)
    planes = {
        item["environment"].get("QUILLKEEP_PLANE") for item in OURS.values() if command_of(item) == "web"
    }
    assert planes == set(environment.PLANES)
    mounted = [
        item.split(":")[0]
        for item in (volume for one in SERVICES.values() for volume in one.get("volumes", ()))
    ]
    for path in mounted:
        if path.startswith("./") and path != "./compose/tls":
            assert (DEPLOY / path).is_file(), path
    made = (DEPLOY / "compose/make-secrets.sh").read_text(encoding="utf-8")
    for secret in COMPOSE["secrets"]:
        assert secret in made or secret.removesuffix("-password") in made, secret


@pytest.mark.parametrize("name", ["nginx/upstreams.conf", "varnish/backends.vcl"])
def test_compose_is_told_the_addresses_of_its_services_and_nothing_else_is_different(name: str) -> None:
    def masked(file: Path) -> list[str]:
        text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"acl purgers \{.*?\}", "", text, flags=re.DOTALL)
        return re.sub(r"\b(\d+\.){3}\d+(:\d+)?\b", "ADDRESS", text).split()

    other = DEPLOY / "compose" / Path(name).name
    assert masked(DEPLOY / name) == masked(other)
    given = {
        service["networks"]["inside"]["ipv4_address"]: key
        for key, service in SERVICES.items()
        if isinstance(service["networks"], dict)
    }
    named = re.findall(r'(?:server |host = ")([\d.]+)', other.read_text(encoding="utf-8"))
    nodes = ["delivery-1", "delivery-2"]
    assert [given[address] for address in named] == (
        ["management", "edge", "varnish", *nodes] if name.startswith("nginx") else nodes
    )


def test_nginx_closes_an_idle_connection_before_whoever_is_at_its_end() -> None:
    text = (DEPLOY / "nginx/upstreams.conf").read_text(encoding="utf-8")
    kept = re.findall(r"keepalive \d+;\n    keepalive_timeout (\d+)s;", text)
    assert len(kept) == text.count("upstream ")
    of_varnish = 5  # its timeout_idle
    assert all(int(seconds) < min(HEADER_READ_MILLISECONDS / 1000, of_varnish) for seconds in kept)


def test_secrets_are_made_once_and_each_is_one_that_the_environment_takes(tmp_path: Path) -> None:
    folder = tmp_path / "compose"
    shutil.copytree(DEPLOY / "compose", folder, ignore=shutil.ignore_patterns("secrets", "tls"))
    first = run("sh", str(folder / "make-secrets.sh"))
    assert first.returncode == 1
    assert "secrets/email-url secrets/backup-recipients tls/certificate.pem tls/key.pem" in first.stderr
    (folder / "secrets/email-url").write_text("smtp+tls://user:password@mail.example.com:587\n")
    (folder / "secrets/backup-recipients").write_text(f"{RECIPIENT}\n")
    for name in ("certificate.pem", "key.pem"):
        (folder / "tls" / name).touch(mode=0o600)
        (folder / "tls" / name).write_text("x")
    before = {item.name: item.read_bytes() for item in (folder / "secrets").iterdir()}
    assert run("sh", str(folder / "make-secrets.sh")).returncode == 0
    assert before == {item.name: item.read_bytes() for item in (folder / "secrets").iterdir()}
    assert folder.stat().st_mode & 0o077 == 0
    for item in (*(folder / "secrets").iterdir(), *(folder / "tls").iterdir()):
        assert item.stat().st_mode & 0o004, "read by the account of its container"
    for service in OURS.values():
        values = {
            name: str(value).replace("/run/secrets", str(folder / "secrets"))
            for name, value in service["environment"].items()
        }
        environment.read(values)


# --- systemd -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "stays"),
    [
        (("PG_VERSION", "copied-whole"), True),
        (("PG_VERSION", "replica.pgpass", "standby.signal"), True),  # by the release before
        (("PG_VERSION", "replica.pgpass"), False),
        (("PG_VERSION",), False),
    ],
)
def test_a_replica_that_is_whole_is_not_copied_again(
    tmp_path: Path, there: tuple[str, ...], *, stays: bool
) -> None:
    data, secret, programs = (tmp_path / name for name in ("data", "secret", "programs"))
    data.mkdir()
    for name in there:
        (data / name).write_text("x")
    secret.write_text("x")
    programs.mkdir()
    for name in ("psql", "pg_basebackup", "postgres"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/called\n")
        (programs / name).chmod(0o755)
    text = (DEPLOY / "compose/replica.sh").read_text(encoding="utf-8")
    for ours, here in (
        ("/var/lib/postgresql/data", data),
        ("/run/secrets/replica-password", secret),
        ("/tmp/pgpass", tmp_path / "pgpass"),  # noqa: S108 (in a container that is the replica's alone)
    ):
        text = text.replace(ours, str(here))
    script = tmp_path / "replica.sh"
    script.write_text(f"PATH={programs}:$PATH\n{text}", encoding="utf-8")
    assert run("sh", str(script)).returncode == 0
    called = (tmp_path / "called").read_text().split()
    assert called == (["postgres"] if stays else ["psql", "pg_basebackup", "postgres"])
    assert (data / "PG_VERSION").exists() == stays


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardened_and_loads_its_secrets_as_credentials(unit: Path) -> None:
    lines = [line for file in (unit, COMMON) for line in file.read_text(encoding="utf-8").splitlines()]
    assert not set(HARDENED) - set(lines)
    assert unit.name.startswith("quillkeep-"), "or systemd does not read the common file for it"
    loaded = dict(
        line.removeprefix("LoadCredential=").split(":", 1) for line in lines if line.startswith("LoadC")
    )
    files = [line.removeprefix("Environment=") for line in lines if "_FILE=" in line]
    assert {item.partition("=")[2].removeprefix("%d/") for item in files} == set(loaded)
    held = {item.partition("_FILE=")[0] for item in files}
    assert held <= set(environment.NAMES)
    name = started_by(unit)
    assert bool(held & set(FOR_OWNERS)) == (name in OWNERS)
    assert not held & set(FOR_THE_KEEPER)
    assert ("DATABASE_URL" in held) == ("delivery" not in unit.name)


def started_by(unit: Path) -> str:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # names as they are
    parser.read(unit)
    command = shlex.split(parser["Service"]["ExecStart"])
    assert command[1:3] == ["-m", "cms_project.process"]
    return command[3]


def test_every_process_has_a_unit_and_a_line_in_the_procfile() -> None:
    assert {started_by(unit) for unit in UNITS} == set(process.NAMES)
    lines = (DEPLOY / "Procfile").read_text(encoding="utf-8").splitlines()
    listed = {line.partition(": ")[0]: line.partition(": ")[2].split() for line in lines}
    assert {name for name in listed if name != "release"} == set(process.NAMES)
    for name, command in listed.items():
        if name != "release":
            assert command[:4] == ["python", "-m", "cms_project.process", name]


def names_of_the_example() -> set[str]:
    lines = (DEPLOY / "systemd/environment").read_text(encoding="utf-8").splitlines()
    return {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


def test_the_example_environment_of_the_units_has_known_names_and_no_secret() -> None:
    names = names_of_the_example()
    assert names <= set(environment.NAMES)
    assert not {
        name for name in names if re.search("SECRET|RING|DATABASE|IDENTITY|PASSWORD", name) if name != "x"
    }


def test_a_command_gets_the_environment_and_the_secrets_of_the_units(tmp_path: Path) -> None:
    example = (DEPLOY / "systemd/environment").read_text(encoding="utf-8")
    example = example.replace("age1replace-this-by-your-public-key", RECIPIENT)
    (tmp_path / "environment").write_text(example, encoding="utf-8")
    mail = "smtp+tls://u:p@mail.example.com:587"
    given = throwaway.values(OWNER_DATABASE_URL=throwaway.NOWHERE, EMAIL_URL=mail)
    (tmp_path / "secrets").mkdir()
    for name in given.keys() - names_of_the_example():
        file = tmp_path / "secrets" / name.lower().replace("_", "-")
        file.write_text(given[name] + "\n", encoding="utf-8")
    text = (DEPLOY / "systemd/manage.sh").read_text(encoding="utf-8")
    text = text.replace("/etc/quillkeep/", f"{tmp_path}/")
    text = text.replace("setpriv --reuid=quillkeep --regid=quillkeep --init-groups", "env AS=quillkeep")
    script = tmp_path / "opt/deploy/systemd/manage.sh"
    script.parent.mkdir(parents=True)
    script.write_text(text, encoding="utf-8")
    python = tmp_path / "opt/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nenv\necho "GIVEN=$*"\n', encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / "quillkeep").symlink_to(script)
    told = run("sh", str(tmp_path / "quillkeep"), "audit", "head")
    assert (told.returncode, told.stderr) == (0, "")
    values = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    assert (values["AS"], values["GIVEN"]) == ("quillkeep", f"{tmp_path}/opt/manage.py audit head")
    environment.read({name: values[name] for name in values if name in environment.NAMES})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_every_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/quillkeep/.venv/bin/python", "/bin/true")
        (tmp_path / unit.name.replace("@", "@management")).write_text(text, encoding="utf-8")
    shutil.copy(DEPLOY / "systemd/quillkeep.target", tmp_path)
    shutil.copytree(COMMON.parent, tmp_path / COMMON.parent.name)
    files = [str(file) for file in tmp_path.glob("*.service")]
    told = run("systemd-analyze", "verify", "--man=no", *files)
    assert [line for line in told.stderr.splitlines() if "quillkeep" in line] == []
    assert told.returncode == 0
    told = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", *files)
    assert told.returncode == 0, told.stdout[-3000:]


# --- The container file --------------------------------------------------------------------------------------------


def test_the_last_stages_come_from_nothing_as_nobody_and_take_in_what_the_application_is() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    for stage in ("keeper", "quillkeep"):
        body = text.partition(f"FROM scratch AS {stage}\n")[2].partition("\nFROM ")[0]
        assert "USER 10001:10001" in body
        assert "HEALTHCHECK" in body
        assert "RUN" not in body
    assert "--require-hashes --only-binary :all:" in text
    assert "curl" not in text
    made = re.findall(r"install -d -m 0700 -o 10001 -g 10001 (.+?) #", text)[0].split()
    for service in OURS.values():  # else a new volume would be root's
        assert {item.split(":")[1] for item in service["volumes"]} <= set(made)
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored
    rooms = {"accounts", "content", "previews", "webhooks", "cms_project", "templates"}
    assert rooms <= {line.removeprefix("!") for line in ignored}


# --- One process ---------------------------------------------------------------------------------------------------


def test_a_process_gets_no_secret_of_another() -> None:
    given = dict.fromkeys((*FOR_OWNERS, *FOR_THE_KEEPER, "SECRET_KEY"), "x")
    given |= {f"{name}_FILE": "x" for name in FOR_OWNERS}
    for name in process.NAMES:
        left = {item.removesuffix("_FILE") for item in allowed(name, given)} - {"SECRET_KEY"}
        owners = set(FOR_OWNERS) if name in OWNERS else set()
        assert left == owners | (set(FOR_THE_KEEPER) if name == KEEPER else set())


def test_a_wrong_environment_is_told_whole_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert process.main(["web"], {"PORT": "canary"}) == 2
    told = capsys.readouterr().err
    assert "PORT" in told
    assert "SECRET_KEY: is missing" in told
    assert "canary" not in told
