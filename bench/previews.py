"""Previews, measured: what checking a token costs beside a bare signature, and reading a draft beside managing it.

`python -m bench.previews [--times 200]` makes servers of its own. For each algorithm, `tokens.verify` with
`state.known` takes turns with PyJWT's `decode` (same key, algorithm, issuer, leeway and required claims) with one GET
of Valkey. Then the real web server answers the draft, by token, and the same entry on the management API.
"""

import argparse
import http.client
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from bench import corpus
from bench.ground import TEMPLATE, Ground

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256", "HS256")
TARGET: Final = 1.5
ROUNDS: Final = 40
CALLS: Final = 50  # of each, in one round


def turns(jobs: Sequence[Callable[[], object]], rounds: int, calls: int) -> list[float]:
    """Return the median milliseconds of each job, taken in turns; the first round is thrown away."""
    times: list[list[float]] = [[] for _ in jobs]
    for number in range(rounds + 1):
        for index, job in enumerate(jobs):
            started = time.perf_counter()
            for _ in range(calls):
                job()
            if number:
                times[index].append((time.perf_counter() - started) / calls * 1000)
    return [statistics.median(each) for each in times]


def inside() -> None:
    """Make an entry, sites and previews, and measure in this process, which has the settings."""
    import django  # noqa: PLC0415 (this process alone has the settings)

    django.setup()
    import jwt  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    from accounts import people  # noqa: PLC0415
    from accounts.access import Action, system  # noqa: PLC0415
    from accounts.rights import granting  # noqa: PLC0415
    from accounts.valkey import valkey  # noqa: PLC0415
    from content import editing, modeling, publishing  # noqa: PLC0415
    from content.writing import Writing  # noqa: PLC0415
    from previews import opening, sites, state, tokens  # noqa: PLC0415
    from previews.signing.table import tables  # noqa: PLC0415

    root = system("bench")
    modeling.create_collection({"key": "authors", "name": "Authors", "fields": corpus.AUTHOR_FIELDS}, by=root)
    raw = {"key": "articles", "name": "Articles", "localized": True, "fields": corpus.ARTICLE_FIELDS}
    modeling.create_collection(raw, by=root)
    writing = Writing.on("authors", by=root)
    author = editing.create(corpus.author(1), writing=writing)
    publishing.publish(author.pk, writing=writing)
    entry = editing.create(corpus.article(1, [author.pk]).english, writing=Writing.on("articles", by=root))
    role = granting.add_role("previewer", "Previews", by=root)
    actions = frozenset({Action.READ, Action.READ_DRAFT, Action.PREVIEW})
    terms = granting.PolicyTerms(collection_id=None, actions=actions, every_field=True)
    granting.add_policy(role, terms, by=root)
    editor = people.add_person(corpus.EDITOR, name="Edith", roles=("previewer",), by=root)
    editor.set_password(corpus.PASSWORD)
    editor.save()
    client = Client(headers={"host": "localhost"})

    def send(path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:300]!r}")
        return dict(answer.json())

    access = send("auth/login", {"email": corpus.EDITOR, "password": corpus.PASSWORD})["access"]
    handoff = "http://localhost:3000/api/preview?path=/blog/{slug}"
    found: dict[str, Any] = {"access": access, "entry": str(entry.pk), "ratios": {}, "tokens": {}}
    for algorithm in ALGORITHMS:
        given = {"name": algorithm, "origins": ["http://localhost:3000"], "algorithm": algorithm}
        made = sites.add(given, {"articles": handoff}, by=root)
        asked = {"entry_id": str(entry.pk), "site_id": str(made.site.pk)}
        code = send("previews", asked, authorization=f"Bearer {access}")["code"]
        text = send("previews/exchange", {"code": code, "client_secret": made.client_secret})["token"]
        found["tokens"][algorithm] = text
        tables.forget()
        claims = tokens.verify(text)
        key = tables.current().verifiers[jwt.get_unverified_header(text)["kid"]].key
        name = f"quillkeep:preview:live:{claims.preview_id}"
        valkey().persist(name)  # so that it is there as long as this takes
        required = sorted(jwt.decode(text, options={"verify_signature": False}))

        def bare(
            text: str = text, algorithm: str = algorithm, key: Any = key, name: str = name,
            required: list[str] = required,
        ) -> None:  # fmt: skip
            options: Any = {"require": required, "verify_aud": False}
            jwt.decode(text, key, [algorithm], options, issuer=settings.PUBLIC_URL, leeway=15)
            valkey().get(name)

        def ours(text: str = text) -> None:
            if state.known(tokens.verify(text).preview_id) is None:
                raise RuntimeError("Valkey does not know the preview.")

        before, after = turns([bare, ours], ROUNDS, CALLS)
        alone = turns([lambda: tokens.verify(text)], ROUNDS, CALLS)[0]  # noqa: B023 (called at once)
        found["ratios"][algorithm] = {"bare": before, "ours": after, "ratio": after / before, "verify": alone}
    text = found["tokens"]["EdDSA"]
    with CaptureQueriesContext(connection) as captured:
        claims = tokens.verify(text)
        bound = state.known(claims.preview_id)
    found["statements_to_check"] = len(captured)
    with CaptureQueriesContext(connection) as captured:
        opening.opened(claims, bound)
    found["statements_to_open"] = len(captured)
    found["statements"] = {}
    for kind, path, credential in asked_for(found):
        for number in range(2):  # the first one notes the first open
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(path, headers={"authorization": f"Bearer {credential}"})
            if answer.status_code != 200 and number:
                raise RuntimeError(f"{path}: {answer.status_code}")
        found["statements"][kind] = len(captured)
    sys.stdout.write(json.dumps(found) + "\n")


def asked_for(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (what, path, credential) of the two reads that are compared."""
    name = f"articles/{found['entry']}"
    return [
        ("management", f"/api/v1/manage/content/{name}", found["access"]),
        ("draft", f"/api/v1/preview/content/{name}", found["tokens"]["EdDSA"]),
    ]


def over_http(url: str, found: dict[str, Any], times: int) -> dict[str, float]:
    """Return the median milliseconds of each read on the real web server, in turns, on one connection."""
    link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def read(path: str, credential: str) -> None:
        link.request("GET", path, headers={"Authorization": f"Bearer {credential}"})
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")

    reads = asked_for(found)
    jobs = [lambda path=path, credential=credential: read(path, credential) for _, path, credential in reads]
    medians = turns(jobs, times // 5, 5)
    link.close()
    return {kind: median for (kind, _, _), median in zip(reads, medians, strict=True)}


def run(times: int) -> dict[str, Any]:
    """Measure and return everything as numbers."""
    with Ground() as ground:
        ground.servers.create_database(TEMPLATE)
        migrate = ["manage.py", "migrate", "--verbosity", "0"]
        ground.finish(ground.spawn(migrate, TEMPLATE, owner=True))
        found = ground.finish(ground.spawn(["-m", "bench.previews", "--inside"], TEMPLATE, owner=False))
        url = ground.web(TEMPLATE, PUBLIC_URL="http://localhost:8000")  # by which the tokens are issued
        read = over_http(url, found, times)
    return {
        "check": found["ratios"],
        "statements_to_check": found["statements_to_check"],
        "statements_to_open": found["statements_to_open"],
        "statements": found["statements"],
        "read": read,
        "read_ratio": read["draft"] / read["management"],
        "is_kept": all(item["ratio"] <= TARGET for item in found["ratios"].values())
        and not found["statements_to_check"],
    }


def main() -> int:
    """Print a table, and the numbers as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="reads of each kind over HTTP")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside()
        return 0
    result = run(options.times)
    table = Table("what", "before", "ours", "ratio", "target")
    for algorithm, item in result["check"].items():
        told = (f"{item[name]:.3f} ms" for name in ("bare", "ours"))
        table.add_row(f"check of a token, {algorithm}", *told, f"{item['ratio']:.2f}", str(TARGET))
    read = result["read"]
    told = (f"{read[name]:.2f} ms" for name in ("management", "draft"))
    table.add_row("a draft over HTTP, to management", *told, f"{result['read_ratio']:.2f}", "")
    table.add_row("statements before the preview is opened", "", str(result["statements_to_check"]), "", "0")
    table.add_row("statements to open it", "", str(result["statements_to_open"]), "", "")
    counts = (str(result["statements"][name]) for name in ("management", "draft"))
    table.add_row("statements of the whole read", *counts, "", "")
    Console(stderr=True).print(table)
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["is_kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
