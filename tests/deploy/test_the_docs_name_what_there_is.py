"""What README.md and docs/ tell people to type and to open: each command, option, target of make and link is there."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from accounts.measuring import MEASURES
from tests.database import ROOT

FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[
    0
].split()
PLACES = (re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE), re.compile(r"`[^`\n]+`"))


def codes(text: str) -> Iterator[list[str]]:
    """Return the words of each line of code and of each piece of code within a sentence."""
    fences, pieces = PLACES
    for block in fences.findall(text):
        for line in block.splitlines():
            yield line.partition(" # ")[0].split()
    for piece in pieces.findall(fences.sub("", text)):
        yield piece.strip("`").replace("\\|", "|").split()


def commands(words: list[str]) -> Iterator[list[str]]:
    """Return what is given to manage.py; in a sentence it may go without that name."""
    starts = [
        number
        for number, word in enumerate(words, start=1)
        if word.endswith("manage.py") or word == "quillkeep"
    ]
    if not starts and len(words) > 1 and words[0] in get_commands() and re.fullmatch(r"[a-z|]+", words[1]):
        starts = [0]
    for start in starts:
        ends = [number for number, word in enumerate(words) if number > start and word in ("&&", ";", "…")]
        if words[start : start + 1]:
            yield words[start : min(ends, default=None)]


def faults(command: list[str]) -> Iterator[str]:
    name, *rest = command
    if not re.fullmatch(r"[a-z_]+", name):
        return  # `manage.py …`
    if name not in get_commands():
        yield f"no command {name}"
        return
    parser: argparse.ArgumentParser = load_command_class(get_commands()[name], name).create_parser(
        "manage.py", name
    )
    verbs = next((item for item in parser._actions if isinstance(item, argparse._SubParsersAction)), None)
    options = set(parser._option_string_actions)
    if verbs is not None and rest:
        for verb in rest[0].split("|"):
            if verb not in verbs.choices:
                yield f"{name} has no {verb}"
                return
            options |= set(verbs.choices[verb]._option_string_actions)
    for word in rest:
        option = re.match(r"\[?(--[a-z-]+)", word)
        if option and option[1] not in options:
            yield f"{name} takes no {option[1]}"


def anchors(file: Path) -> set[str]:
    """Return what a heading is linked by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_page_names_is_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    wrong = [fault for words in codes(text) for command in commands(words) for fault in faults(command)]
    wrong += [
        f"make {words[1]}" for words in codes(text) if words[:1] == ["make"] and words[1] not in TARGETS
    ]
    for target in re.findall(r"\]\(([^)\s]+)\)", PLACES[0].sub("", text)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        other = (file.parent / path).resolve() if path else file
        if not other.exists() or (anchor and anchor not in anchors(other)):
            wrong.append(target)
    assert wrong == []


def test_every_measure_of_monitoring_is_told_to_ops() -> None:
    told = (ROOT / "docs/for-ops.md").read_text(encoding="utf-8")
    assert [name for name in MEASURES if f"`{name}`" not in told] == []


def test_what_is_not_there_is_found() -> None:
    for line, found in (
        ("python manage.py backups list", ["no command backups"]),
        ("backup undo NAME", ["backup has no undo"]),
        (
            "manage.py backup create --quick && manage.py audit check",
            ["backup takes no --quick", "audit has no check"],
        ),
        ("manage.py keys list|retire [--kind KIND]", []),
    ):
        assert [fault for command in commands(line.split()) for fault in faults(command)] == found
