"""`chandlery usage`, `invoice` and `focus export`, typed as a person would, on a real ledger of either kind."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from cli import periods, tables
from cli.ledger import scrubbed, shown, url_of
from cli.periods import Span
from knative.local.layout import REPOSITORY
from shared.errors import Refused
from shared.metering.focus import broken_rules, read_csv
from shared.metering.ledger import Ledger
from shared.metering.prices import rounded
from tests.ports import free_port
from tests.shared.metering import worked
from tests.shared.metering.builders import reading, subject
from tests.shared.metering.databases import Postgres

DOCUMENT = REPOSITORY / "docs/metering.md"
MONTH = ("--month", "2025-11")


def chandlery(*arguments: str | Path, url: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CHANDLERY_LEDGER_URL": url, "TERM": "dumb", "COLUMNS": "80", **more}
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def printed(*arguments: str | Path, url: str) -> str:
    done = chandlery(*arguments, url=url)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
async def example(url: str) -> str:
    """A ledger with the example of docs/metering.md; tests only read it."""
    ledger = await Ledger.open(url)
    await worked.write(ledger)
    await ledger.close()
    return url


async def test_the_worked_invoice_is_what_the_documentation_says(example: str, tmp_path: Path) -> None:
    costs = tmp_path / "costs.csv"
    costs.write_text("node,cost,currency\nnode-1,10.00,EUR\n")
    document = DOCUMENT.read_text()
    assert printed("usage", *MONTH, url=example) in document
    assert printed("invoice", "team-a", *MONTH, url=example) in document
    charged = read_csv(printed("focus", "export", *MONTH, url=example))
    split = read_csv(printed("focus", "export", *MONTH, "--node-costs", costs, url=example))
    assert sum(Decimal(each["BilledCost"]) for each in charged) == Decimal("1.35")
    assert [(each["ResourceName"], each["BilledCost"]) for each in split] == [
        ("team-a/orders", "2.52"),
        ("node-1/idle", "7.48"),
    ]
    for each in split:
        assert f"| {each['ResourceName']} | {each['BilledCost']} |" in document
    assert broken_rules(charged) + broken_rules(split) == []
    assert {each["InvoiceId"] for each in charged} == {"2025-11/team-a"}


async def test_each_line_of_the_worked_invoice_can_be_computed_from_what_was_read(example: str) -> None:
    """By hand: half a core, 2 GiB, a volume of 20 GiB and 1 GiB an hour; ten hours, without ten minutes for gauges."""
    seen = Decimal(36_000 - 600) / 3600
    expected = {
        ("cpu-core-hour", "2025-11-01T00:00:00Z"): (Decimal(4) / 2, "0.04"),
        ("cpu-core-hour", "2025-11-16T00:00:00Z"): (Decimal(6) / 2, "0.05"),
        ("instance-hour", "2025-11-01T00:00:00Z"): (seen, "0.01"),
        ("memory-gib-hour", "2025-11-01T00:00:00Z"): (2 * seen, "0.005"),
        ("network-transmitted-gib", "2025-11-01T00:00:00Z"): (Decimal(10), "0.09"),
        ("storage-gib-hour", "2025-11-01T00:00:00Z"): (20 * seen, "0.0001"),
    }
    found = json.loads(printed("invoice", "team-a", *MONTH, "--output", "json", url=example))
    assert {
        (line["per"], line["start"]): (line["quantity"], line["price"], line["amount"]) for line in found["lines"]
    } == {
        key: (f"{quantity:.9f}", price, str(rounded(Decimal(f"{quantity:.9f}") * Decimal(price), "EUR")))
        for key, (quantity, price) in expected.items()
    }
    assert (found["totals"], found["complete"]) == ({"EUR": "1.35"}, True)


@pytest.fixture
async def several(tmp_path: Path) -> str:
    """One core for an hour and two for another consumer, both since the first of November."""
    url = f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    ledger = await Ledger.open(url)
    for number, consumer in ((1, "team-a"), (2, "team-b"), (3, "team-b")):
        who = {"uid": f"pod-{number}", "instance_uid": f"i-{number}", "plan": "large" if number == 3 else "small"}
        who |= {"instance": f"{consumer}/db-{number}", "consumer": consumer, "consumer_namespace": consumer}
        moments = [worked.NOVEMBER + timedelta(seconds=second) for second in range(0, 3601, 120)]
        read = [
            reading(0, index * 120 * 10**9 * number, at=at, subject=f"pod-{number}") for index, at in enumerate(moments)
        ]
        whose = subject(0, **who, seen_last=worked.NOVEMBER, started_at=worked.NOVEMBER)
        await ledger.record(read, [whose], moments[-1])
    await ledger.materialise(worked.LATER)
    await ledger.close()
    return url


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--by", "instance"],
            [("database", "team-a/db-1", 1), ("database", "team-b/db-2", 2), ("database", "team-b/db-3", 3)],
        ),
        (["--by", "consumer"], [("team-a", 1), ("team-b", 5)]),
        (["--by", "offering"], [("database", 6)]),
        (["--by", "namespace"], [("team-a", 1), ("team-b", 5)]),
        (["--by", "plan"], [("database", "large", 3), ("database", "small", 3)]),
        (
            ["--by", "plan", "--by", "consumer"],
            [
                ("database", "large", "team-b", 3),
                ("database", "small", "team-a", 1),
                ("database", "small", "team-b", 2),
            ],
        ),
        (["--by", "consumer", "--plan", "small"], [("team-a", 1), ("team-b", 2)]),
        (["--by", "offering", "--instance", "team-a/db-1", "--instance", "team-b/db-2"], [("database", 3)]),
        (["--by", "consumer", "--consumer", "team-b", "--plan", "large"], [("team-b", 3)]),
        (["--by", "consumer", "--namespace", "nobody"], []),
        (
            ["--by", "consumer", "--offering", "database", "--to", "2025-11-01T01:00Z", "--from", "2025-11-01"],
            [("team-a", 1), ("team-b", 5)],
        ),
        (["--by", "consumer", "--to", "2025-11-02", "--from", "2025-11-01T01:00Z"], []),
    ],
    ids=lambda case: " ".join(case) if case and isinstance(case[0], str) else "",
)
async def test_usage_is_summed_up_by_what_one_asks_for(
    several: str, arguments: list[str], expected: list[tuple[str | int, ...]]
) -> None:
    period = () if "--to" in arguments else MONTH
    found = rows(printed("usage", *arguments, *period, "--output", "csv", url=several))
    numbers = [
        (*list(each.values())[: len(want) - 1], Decimal(each["cpu-core-hour"]))
        for each, want in zip(found, expected, strict=True)
    ]
    assert numbers == [(*want[:-1], Decimal(want[-1])) for want in expected]


async def test_several_lines_have_a_total(several: str) -> None:
    assert printed("usage", "--by", "consumer", *MONTH, url=several) == (
        "CONSUMER  CORE-HOURS  MEMORY GIB-HOURS  STORAGE GIB-HOURS  RECEIVED GIB  SENT GIB  GAP\n"
        "team-a         1.000                 -                  -             -         -    -\n"
        "team-b         5.000                 -                  -             -         -    -\n"
        "total          6.000                 -                  -             -         -    -\n"
    )
    assert printed("usage", "--month", "2025-10", url=several) == "nothing was used in 2025-10\n"
    assert printed("invoice", "team-a", *MONTH, url=several) == "team-a, 2025-11\nnothing is charged\n"


async def test_an_invoice_with_missing_hours_says_that_it_is_incomplete(url: str) -> None:
    ledger = await Ledger.open(url)
    await ledger.record(worked.readings(), worked.subjects(), worked.END)
    await ledger.close()
    said = "4 pods, volumes or nodes have hours that are in no window yet"
    assert (
        printed("invoice", "team-a", *MONTH, url=url) == f"team-a, 2025-11\nnothing is charged\n\nincomplete: {said}\n"
    )
    found = json.loads(printed("invoice", "team-a", *MONTH, "-o", "json", url=url))
    assert (found["complete"], found["incomplete"]) == (False, said)
    assert f"note: {said}" in chandlery("focus", "export", *MONTH, url=url).stderr
    assert "in no window yet" in chandlery("usage", *MONTH, url=url).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["usage", "--month", "2025-13"], "--month: '2025-13' is no month; write it as 2026-11"),
        (["usage", "--month", "2025-11", "--from", "2025-11-01"], "--month says it all"),
        (["usage", "--from", "yesterday"], "--from: 'yesterday' is no time"),
        (["usage", "--from", "2025-11-01T00:30Z"], "--from: 2025-11-01T00:30:00Z is not a full hour"),
        (["usage", "--from", "2025-11-02", "--to", "2025-11-01"], "--to: 2025-11-01T00:00:00Z is not after"),
        (["invoice", "team-a", "--month", "soon"], "--month: 'soon' is no month"),
        (
            ["focus", "export", "--month", "2025-11", "--node-costs", "none.csv"],
            "none.csv: can't be read (No such file",
        ),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else "",
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments: list[str], says: str) -> None:
    done = chandlery(*arguments, url="sqlite:///nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///nowhere.db", "there is no ledger in nowhere.db: is the stack up (`make up`)?"),
        (
            "postgresql://ledger:geheim@127.0.0.1:PORT/usage?password=geheim",
            "the ledger at postgresql://127.0.0.1:PORT/usage can't be read",
        ),
        ("geheim@@:::", "the ledger's URL can't be understood"),
        ("mysql://ledger:geheim@host/usage", "there is no ledger on mysql"),
        ("sqlite:///EMPTY", "can't be read"),
    ],
    ids=["no file", "no server", "no URL", "another database", "no tables"],
)
def test_without_a_ledger_it_says_so_and_no_password(url: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    port = str(free_port())
    url, says = url.replace("PORT", port).replace("EMPTY", str(tmp_path / "empty.db")), says.replace("PORT", port)
    done = chandlery("invoice", "x", *MONTH, "--ledger", url, url="sqlite:///other")
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "geheim" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_role_that_may_only_read_is_enough(postgres: Postgres) -> None:
    address = postgres.database()
    ledger = await Ledger.open(address)
    await worked.write(ledger)
    await ledger.close()
    role = f"reader_{uuid4().hex}"
    grant = f"CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    name = make_url(address).database or ""
    postgres.run("psql", "-h", str(postgres.folder), "-U", "ledger", "-c", grant, name)
    url = address.replace("//ledger@", f"//{role}@")
    assert "1.35  EUR" in printed("invoice", "team-a", *MONTH, url=url)
    assert "team-a/orders" in printed("usage", "--from", "2025-11-01", url=url)


def test_the_local_stacks_ledger_is_found(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    found = url_of(None, {"LOCAL": str(tmp_path)})
    assert found.render_as_string() == f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    assert url_of(None, {"LOCAL": str(tmp_path), "CHANDLERY_LEDGER_URL": "postgresql://h/n"}).host == "h"
    assert url_of("postgres://other/n", {"CHANDLERY_LEDGER_URL": "postgresql://h/n"}).host == "other"
    with pytest.raises(Refused, match="is the stack up"):
        url_of(None, {"LOCAL": str(tmp_path / "none")})


def test_what_may_be_secret_is_taken_out() -> None:
    url = make_url("postgresql+asyncpg://me:geheim@host:5432/usage?sslpassword=secret")
    assert shown(url) == "postgresql://host:5432/usage"
    assert scrubbed("no geheim, no secret", url) == "no ***, no ***"


NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (NOW, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    ],
    ids=["in the first hour", "at its very start"],
)
def test_without_a_period_it_is_this_month_so_far(now: datetime, start: datetime, end: datetime) -> None:
    assert periods.span(None, None, None, now) == Span(start, end)


def test_a_time_may_have_a_zone() -> None:
    found = periods.span(None, "2026-02-01T01:00+01:00", "2026-03-01", NOW)
    assert (found, found.month) == (periods.month("2026-02"), "2026-02")


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0, "-"), (999, "-"), (30_000, "30s"), (90_000, "1m30s"), (3_605_000, "1h00m05s"), (600_000, "10m00s")],
)
def test_a_gap_is_said_as_people_say_it(ms: int, said: str) -> None:
    assert tables.lasting(ms) == said


@pytest.mark.parametrize(("value", "said"), [(None, "-"), ("0", "0.000"), ("0.0001", "<0.001"), ("1.23456", "1.235")])
def test_a_number_is_short_and_never_says_nothing_of_something(value: str | None, said: str) -> None:
    assert tables.rounded(None if value is None else Decimal(value)) == said
