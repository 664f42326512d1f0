"""`make bench`: the measurements as one table of ratios; `--json` repeats them as the last line of stdout."""

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import browser
from bench.ground import BenchError, Filled, Ground, Probe

SIZES = (1_000, 10_000, 100_000)
QUICK_SIZES = (1_000, 3_000)
GROWTH_TARGET = 1.5
ADMIN_GROWTH_TARGET = 1.3
PLAIN_TARGET = 1.5
STOCK_TARGET = 2.0
INTERACTIVE_TARGET = 1_000.0  # milliseconds
PICKER_TARGET = 300.0
PICKER_ENTRIES = 10_000
WHO = ("anonymous", "API key", "access token")
PRINCIPAL_TARGET = 1.5
MORE_KEYS = 50_000

# What must not grow with the number of entries, and what is told honestly. `{…}` is filled in for each request.
STEADY = {
    "list, default order": "get {list}",
    "list, filter[category][eq]": "get {list}?filter[category][eq]={category}",
    "list, filter[rating][gte], sort=-rating": "get {list}?filter[rating][gte]=3&sort=-rating",
    "list, sort=title": "get {list}?sort=title",
    "list, filter[author.slug][eq]": "get {list}?filter[author.slug][eq]=author-{author}",
    "list, a page far in, by cursor (500 of 5,000; 40 of 50)": "deep",
    "document by id": "get {list}/{id}",
}
# The editors' list, with the columns that everybody has at first and with chosen ones.
COLUMNS = {
    "usual columns": [],
    "ten chosen columns": [
        "_state", "_updated", "_author", "author", "category", "tags", "summary", "on", "price", "featured",
    ],
}  # fmt: skip
ADMIN_LIST = "admin /admin/content/articles/"
ADMIN_LISTS = {
    "list": ADMIN_LIST,
    "sort=title": f"{ADMIN_LIST}?sort=title",
    "sort=-rating": f"{ADMIN_LIST}?sort=-rating",
    "filter[category][eq]": f"{ADMIN_LIST}?filter[category][eq]={{category}}",
    "a word in 5 % of entries, sort=-_updated_at": f"{ADMIN_LIST}?q={{common}}&sort=-_updated_at",
}
# By relevance, so that every match is read: told, as for delivery.
RANKED_LISTS = {
    "a word in 0.1 % of entries": f"{ADMIN_LIST}?q={{rare}}",
    "a word in 5 % of entries": f"{ADMIN_LIST}?q={{common}}",
}
# Counted, not compared: with fewer entries one author has no full page.
BY_AUTHOR = f"{ADMIN_LIST}?filter[author][eq]={{author_id}}"
FORM = "admin {wide}"
STOCK_FORM = "stock"
PICKER = {
    "three letters": "admin /admin/choices/?in=articles&q={letters}",
    "two words": "admin /admin/choices/?in=articles&q={two_words}",
    "no words": "admin /admin/choices/?in=articles,authors",
}
TOLD = {
    "search, a word in 0.1 % of entries": "get {list}?search={rare}",
    "search, a word in 5 % of entries": "get {list}?search={common}",
    "search, 5 %, sort=-_published_at": "get {list}?search={common}&sort=-_published_at",
    "list, count=exact": "get {list}?count=exact",
    "list, count=exact, filter[category][eq]": "get {list}?count=exact&filter[category][eq]={category}",
}
PLAIN_LIST = "plain-list limit=20"
PLAIN_DOCUMENT = "plain-detail"
LISTS = {
    "list of 20": "{list}",
    "list of 20, expand=author": "{list}?expand=author",
    "list of 20, fields=title,slug": "{list}?fields=title,slug",
}
DOCUMENTS = {"document": "{list}/{id}", "document, expand=author": "{list}/{id}?expand=author"}
CREDENTIALS = {"anonymous": "get", "API key": "as:reader"}
SPLIT = {"API key, two row-filtered clauses": "as:split"}
QUERIES = {
    "list": ("get {list}?limit={n}", "as:reader {list}?limit={n}", 3),
    "list, expand=author": (
        "get {list}?limit={n}&expand=author",
        "as:reader {list}?limit={n}&expand=author",
        3,
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: `before` and `after` are what the ratio is of, in `unit`."""

    section: str
    what: str
    before: float | None
    after: float
    unit: str
    ratio: float | None
    target: float | None = None

    @property
    def is_kept(self) -> bool | None:
        """Whether the target is kept; None where there is none."""
        if self.target is None:
            return None
        return (self.after if self.ratio is None else self.ratio) <= self.target


class Bench:
    """Runs the measurements; rounds alternate between what is compared, so that a busy machine slows both."""

    def __init__(self, probes: Sequence[Probe], *, rounds: int, calls: int) -> None:
        self.probes = probes
        self.rounds = rounds
        self.calls = calls
        self.lines: list[Line] = []

    @property
    def largest(self) -> Probe:
        return self.probes[-1]

    def alternately(self, jobs: Sequence[tuple[Probe, str]], *, are_slow: bool = False) -> list[list[float]]:
        """Return the times of each job, taken in turns; fewer of what takes long."""
        times: list[list[float]] = [[] for _ in jobs]
        rounds, calls = (max(2, self.rounds // 2), self.calls // 3) if are_slow else (self.rounds, self.calls)
        for _ in range(rounds):
            for index, (probe, case) in enumerate(jobs):
                times[index] += probe.ask("measure", case=case, count=calls)
        return times

    def growth(self) -> None:
        """Compare the 95th percentile with the fewest and with the most entries."""
        for cases, target in ((STEADY, GROWTH_TARGET), (TOLD, None)):
            for what, case in cases.items():
                few, many = self.alternately([(self.probes[0], case), (self.largest, case)])
                before, after = percentile(few), percentile(many)
                self.add("growth, p95", what, before, after, target=target)

    def writing(self) -> None:
        """Compare one publish, and one save, with the fewest and with the most entries."""
        for what, case in (("publish one entry", "publish"), ("save one draft", "save")):
            few, many = self.alternately([(self.probes[0], case), (self.largest, case)])
            self.add(
                "writing, median", what, statistics.median(few), statistics.median(many), target=GROWTH_TARGET
            )

    def against_plain(self, cases: dict[str, str], reference: str, credentials: dict[str, str]) -> None:
        """Compare the delivery views with plain DRF views on the same rows."""
        for who, kind in credentials.items():
            for what, path in cases.items():
                jobs = [(self.largest, reference), (self.largest, f"{kind} {path}")]
                plain, ours = (statistics.median(times) for times in self.alternately(jobs))
                self.add("to plain DRF, median", f"{what}, {who}", plain, ours, target=PLAIN_TARGET)

    def queries(self) -> None:
        """Count statements at three page sizes."""
        for what, (anonymous, key, most) in QUERIES.items():
            for who, case in (("anonymous", anonymous), ("API key", key)):
                counts = [
                    self.largest.ask("queries", case=case.replace("{n}", str(size))) for size in (1, 20, 100)
                ]
                self.count(f"{what}, {who}, of {{1, 20, 100}}", counts, most)
        for who, case in (
            ("anonymous", "get {list}/{id}"),
            ("API key", "as:reader {list}/{id}?expand=author"),
        ):
            self.count(f"document, {who}", [self.largest.ask("queries", case=case)], 2)

    def who_asks(self, other: Probe, key: str) -> None:
        """Compare resolving a key and a token with nobody, and with many keys; revoke one for another process."""
        section = "principal, median"
        for kind in WHO[1:]:
            jobs = [(self.largest, f"principal {WHO[0]}"), (self.largest, f"principal {kind}")]
            nobody, somebody = (statistics.median(times) for times in self.alternately(jobs))
            self.add(section, f"{kind}, to anonymous", nobody, somebody, target=None)
        # Resolving alone tells the credential's price; this, what a caller sees of it.
        jobs = [(self.largest, "get {list}/{id}"), (self.largest, "as:reader {list}/{id}")]
        nobody, somebody = (statistics.median(times) for times in self.alternately(jobs))
        self.add(section, "a document by API key, to anonymous", nobody, somebody, target=PRINCIPAL_TARGET)
        before = statistics.median(self.alternately([(self.largest, "principal API key")])[0])
        self.largest.ask("principal", what="add_keys", count=MORE_KEYS)
        after = statistics.median(self.alternately([(self.largest, "principal API key")])[0])
        told = f"API key, with {MORE_KEYS:,} more keys, users and sessions"
        self.add(section, told, before, after, target=GROWTH_TARGET)
        for kind in WHO:
            counts = [self.largest.ask("principal", what="statements", kind=kind)]
            self.count(f"principal, {kind}", counts, 1)
        for kind in WHO[1:]:
            scanned = self.largest.ask("principal", what="scanned", kind=kind)
            self.count(f"principal, {kind}: growing tables read without an index", [len(scanned)], 0)
        if not other.ask("principal", what="is_good", text=key):
            raise BenchError("The key that is to be revoked is no good before.")
        self.largest.ask("principal", what="revoke", text=key)
        let_in = sum(other.ask("principal", what="is_good", text=key) for _ in range(20))
        self.count("calls of a revoked key that another process lets through", [let_in], 0)

    def admin_lists(self) -> None:
        """Compare the editors' list with the fewest and with the most entries, and count its statements."""
        few, many = self.probes[0], self.largest
        counted: list[tuple[str, list[int]]] = []
        every = ADMIN_LISTS | RANKED_LISTS
        for columns, names in COLUMNS.items():
            for probe in self.probes:
                probe.ask("choose_columns", names=names)
            for what, case in every.items():
                before, after = (
                    statistics.median(times)
                    for times in self.alternately([(few, case), (many, case)], are_slow=True)
                )
                target = ADMIN_GROWTH_TARGET if what in ADMIN_LISTS else None
                self.add("editors' list, median", f"{what}, {columns}", before, after, target=target)
            cases = [*every.values(), BY_AUTHOR]
            counts = [probe.ask("queries", case=case) for probe in self.probes for case in cases]
            counted.append((f"editors' list, {columns}, each of these, at each size", counts))
        for told, counts in counted:
            self.count(told, counts, 12)

    def form(self) -> None:
        """Compare the large form with the stock one: the server's time, and what there is in both."""
        jobs = [(self.largest, STOCK_FORM), (self.largest, FORM)]
        stock, ours = (statistics.median(times) for times in self.alternately(jobs, are_slow=True))
        what = "form of 60 fields and 40 blocks; a ModelAdmin with as many fields"
        self.add("editors' form, median", what, stock, ours, target=STOCK_TARGET)
        for told, act in (("inputs in it", "inputs"), ("statements", "queries")):
            before, after = (self.largest.ask(act, case=case) for _, case in jobs)
            self.lines.append(Line("editors' form, median", told, before, after, "", None))

    def picker(self) -> None:
        """Note how long a reference field's search takes in the server, at 10,000 entries or the most there are."""
        for what, case in PICKER.items():
            (times,) = self.alternately([(self.picking, case)])
            told = f"{what}, {self.picking.size:,} entries, p95"
            self.lines.append(
                Line("picker, server", told, None, percentile(times), "ms", None, PICKER_TARGET)
            )

    @property
    def picking(self) -> Probe:
        """Where the picker is measured."""
        return next((probe for probe in self.probes if probe.size == PICKER_ENTRIES), self.largest)

    def in_chromium(self, reader: browser.Reader, loads: int) -> None:
        """Note what an editor waits for in a browser, on the web server of `make run`."""
        facts = self.picking.ask("facts")
        busy = [busyness()]
        cold, warm = reader.loads(facts["form"], loads)
        busy.append(busyness())
        for cache, found in (("empty", cold), ("filled", warm)):
            for what, target in (("answered", None), ("ready", None), ("interactive", INTERACTIVE_TARGET)):
                middle = statistics.median(getattr(load, what) for load in found)
                told = f"form of 60 fields and 40 blocks, {what}, {cache} cache"
                self.lines.append(Line("Chromium, median", told, None, middle, "ms", None, target))
        words = facts["words"][: 3 * loads]
        picked = statistics.median(reader.picked(facts["form"], "reference_1", words))
        told = f"reference picker, last key to entries shown, {self.picking.size:,} entries"
        self.lines.append(Line("Chromium, median", told, None, picked, "ms", None, PICKER_TARGET))
        busy.append(busyness())
        told = "how much longer than alone everything took (1 where nothing else runs)"
        self.lines.append(Line("Chromium, median", told, None, statistics.median(busy), "", None))

    def count(self, what: str, counts: Sequence[int], most: int) -> None:
        """Note the number of statements; a number that changes with the page is told as the worst one."""
        self.lines.append(Line("statements", what, min(counts), max(counts), "", None, most))

    def importing(self, count: int) -> None:
        """Note how fast entries come in by the verbs, and by the command."""
        rate = self.largest.ask("create_and_publish", count=count)
        self.lines.append(Line("import", "create and publish by the verbs", None, rate, "entries/s", None))
        rate = self.probes[0].ask("import_markdown")
        if rate is not None:
            self.lines.append(Line("import", "import_markdown", None, rate, "documents/s", None))

    def add(self, section: str, what: str, before: float, after: float, *, target: float | None) -> None:
        self.lines.append(Line(section, what, before, after, "ms", after / before, target))


def busyness() -> float:
    """Return how long a computation takes by the clock, for each second that it has a processor."""
    clock, processor = time.perf_counter(), time.process_time()
    while time.process_time() < processor + 0.3:
        sum(range(1_000))
    return (time.perf_counter() - clock) / (time.process_time() - processor)


def percentile(times: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times, n=20)[-1]


def table(lines: Sequence[Line], sizes: Sequence[int]) -> Table:
    """Return the table as it is shown."""
    shown = Table(title=f"Quillkeep, {sizes[0]:,} to {sizes[-1]:,} entries")
    for name, side in (
        ("", "left"),
        ("measured", "left"),
        ("before", "right"),
        ("after", "right"),
        ("ratio", "right"),
        ("target", "right"),
        ("", "left"),
    ):
        shown.add_column(name, justify="right" if side == "right" else "left")
    section = ""
    for line in lines:
        if section and line.section != section:
            shown.add_section()
        verdict = {None: "", True: "[green]kept[/]", False: "[red]missed[/]"}[line.is_kept]
        shown.add_row(
            line.section if line.section != section else "",
            escape(line.what),
            "" if line.before is None else number(line.before, line.unit),
            number(line.after, line.unit),
            "" if line.ratio is None else f"{line.ratio:.2f}",
            "" if line.target is None else f"≤ {line.target:g}",
            verdict,
        )
        section = line.section
    return shown


def number(value: float, unit: str) -> str:
    """Return a number with its unit."""
    return f"{value:.1f} {unit}" if unit else f"{round(value, 2):g}"


def run(
    sizes: Sequence[int], *, rounds: int, calls: int, loads: int, console: Console
) -> tuple[list[Line], dict[int, Filled]]:
    """Load, measure, and clear everything away."""
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - started:4.0f} s  {text}", highlight=False, markup=False)

    with Ground() as ground:
        ground.prepare(say)
        filled = {size: ground.database(size, say) for size in sizes}
        largest = sizes[-1]
        to_revoke = filled[largest].keys["split"].pop()  # which nothing else reads with
        bench = Bench([ground.probe(size, filled[size]) for size in sizes], rounds=rounds, calls=calls)
        say("reading: growth")
        bench.growth()
        say("reading: against plain DRF")
        bench.against_plain(LISTS, PLAIN_LIST, CREDENTIALS)
        bench.against_plain(DOCUMENTS, PLAIN_DOCUMENT, CREDENTIALS)
        bench.queries()
        say("who asks")
        bench.who_asks(ground.probe(largest, filled[largest]), to_revoke)
        say("the editors' list, form and picker")
        bench.admin_lists()
        bench.form()
        bench.picker()
        if browser.CHROMIUM.exists():
            say("Chromium")
            facts = bench.picking.ask("facts")
            with browser.chromium(ground.web(bench.picking.size), facts["cookies"]) as reader:
                bench.in_chromium(reader, loads)
        else:
            say(f"There is no {browser.CHROMIUM}: what an editor waits for in a browser is not measured.")
        bench.largest.ask("close_public")
        bench.against_plain(LISTS, PLAIN_LIST, SPLIT)
        say("writing")
        bench.writing()
        say("importing")
        bench.importing(rounds * calls)
        say("done")
        return bench.lines, filled


def main() -> int:
    """Return 0 when all was measured, whether or not the targets are kept."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 3,000 entries, in less than 3 minutes")
    parser.add_argument(
        "--json", action="store_true", help="repeat the measurements as the last line of stdout"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers and their folder go away
    console = Console(stderr=True)
    sizes = QUICK_SIZES if arguments.quick else SIZES
    rounds, calls, loads = (3, 4, 2) if arguments.quick else (12, 20, 9)
    try:
        lines, filled = run(sizes, rounds=rounds, calls=calls, loads=loads, console=console)
    except BenchError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return 1
    Console(width=max(120, Console().width)).print(table(lines, sizes))
    if arguments.json:
        found = {
            "sizes": list(sizes),
            "bytes": {size: item.bytes for size, item in filled.items()},
            "measured": [asdict(line) for line in lines],
        }
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
