"""A command that can't go on says why in one line."""

import sys

import pytest
from django.db import OperationalError

import manage


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OperationalError("canceling statement due to lock timeout\nDETAIL: canary"),
            "(canceling statement due to lock timeout)",
        ),
        (OperationalError(), "(OperationalError)"),
        (EOFError(), "Nobody answered: nothing was done."),
    ],
)
def test_what_ends_a_command_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(manage, "execute_from_command_line", fail)
    monkeypatch.setattr(sys, "argv", ["manage.py", "--version"])
    with pytest.raises(SystemExit) as ended:
        manage.main()
    assert str(ended.value.code).endswith(said)
    assert "canary" not in str(ended.value.code)


def test_a_traceback_is_there_for_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(manage, "execute_from_command_line", fail)
    monkeypatch.setattr(sys, "argv", ["manage.py", "--version", "--traceback"])
    with pytest.raises(OperationalError):
        manage.main()
