"""`manage.py keys --kind sources`: secrets of sources are listed, rotated and retired, and leave once."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.webhooks.incoming.world import make_source, send

pytestmark = pytest.mark.django_db


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_secrets_of_sources_are_listed_rotated_and_retired() -> None:
    make_source("shop", "standard")
    (row,) = json.loads(keys("list", "--kind", "sources", "--json")[0].splitlines()[-1])["keys"]
    assert (row["name"], row["scheme"], row["state"]) == ("shop", "standard", "active")
    assert "secret" not in row
    new, told = keys("rotate", "shop", "--kind", "sources")
    assert new.startswith("whsec_")
    assert new.strip() not in told
    assert send("shop", "standard", {"data": {}}, message_id="old").status_code == 202
    with pytest.raises(CommandError, match="--force"):
        keys("retire", "shop", "--kind", "sources")
    keys("retire", "shop", "--kind", "sources", "--force")
    assert send("shop", "standard", {"data": {}}, message_id="older").status_code == 401
    with pytest.raises(CommandError, match="No former secret"):
        keys("retire", "shop", "--kind", "sources")


def test_what_can_t_be_rotated_here_is_said() -> None:
    make_source("pay", "stripe", secret="whsec_" + "0" * 32)
    for name, words in (("pay", "secret"), ("nowhere", "no webhook source"), ("sources", "Name a source")):
        with pytest.raises(CommandError, match=words):
            keys("rotate", name, "--kind", "sources")
