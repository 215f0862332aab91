"""The ledger's tables, the same on SQLite and PostgreSQL.

Small integers stand for subjects, metrics and series, so that a reading takes about 20 bytes on SQLite. Times are
milliseconds since 1970 (UTC). Amounts outgrow 64 bits when they are summed (1 TiB for a day is 9.5e19 byte-ms), so they
are kept in two columns, amount = giga x 10^9 + units, each of which both databases sum exactly.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint, text

GIGA = 10**9

metadata = MetaData()

subjects = Table(
    "subjects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("node", Text, nullable=False, index=True),
    Column("ended_ms", BigInteger),
)

starts = Table(
    "starts",
    metadata,
    Column("subject", Integer, ForeignKey("subjects.id"), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

# An instance while one consumer has it under one plan: what usage is charged by. Empty where nothing is known.
TENURE = ("instance_uid", "instance", "offering", "plan", "consumer_namespace", "consumer")
tenures = Table(
    "tenures",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in TENURE),
    UniqueConstraint(*TENURE),
)

# Under which tenure a subject was seen last in an hour: the whole hour is charged by it.
seen = Table(
    "seen",
    metadata,
    Column("subject", Integer, ForeignKey("subjects.id"), primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("tenure", Integer, ForeignKey("tenures.id"), nullable=False),
    sqlite_with_rowid=False,
)

metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    UniqueConstraint("name", "type"),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", Integer, ForeignKey("subjects.id"), nullable=False),
    Column("metric", Integer, ForeignKey("metrics.id"), nullable=False),
    UniqueConstraint("subject", "metric"),
)

readings = Table(
    "readings",
    metadata,
    Column("series", Integer, primary_key=True, autoincrement=False),  # no foreign key: it is looked up just before
    Column("at_ms", BigInteger, primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Which subjects' windows are behind their readings: readings changed between changed_from_ms and changed_to_ms, and
# nothing from hours_from_ms on was ever computed.
dirty = Table(
    "dirty",
    metadata,
    Column("subject", Integer, ForeignKey("subjects.id"), primary_key=True, autoincrement=False),
    Column("changed_from_ms", BigInteger),
    Column("changed_to_ms", BigInteger),
    Column("hours_from_ms", BigInteger),
)

windows = Table(
    "windows",
    metadata,
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("metric", Integer, primary_key=True, autoincrement=False),
    Column("tenure", Integer, nullable=False),
    Column("giga", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("gap_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Sums of windows: `span` is 0 for hours, 1 for days, 2 for months (UTC). Always the sum of the windows, to the unit.
totals = Table(
    "totals",
    metadata,
    Column("span", Integer, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, primary_key=True),
    Column("tenure", Integer, primary_key=True, autoincrement=False),
    Column("metric", Integer, primary_key=True, autoincrement=False),
    Column("giga", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("gap_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Which hours of which tenure are told to the outside: the revision that stands, the last one whose amounts may have
# left the ledger, and the last one that a Broker took.
BEHIND = text("sent < revision")
told = Table(
    "told",
    metadata,
    Column("tenure", Integer, primary_key=True, autoincrement=False),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("claimed", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Index("ix_told_behind", "hour_ms", "tenure", sqlite_where=BEHIND, postgresql_where=BEHIND),
    sqlite_with_rowid=False,
)

# Appended to, never changed: what was charged once can be charged again the same way.
prices = Table(
    "prices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("offering", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("per", Text, nullable=False),
    Column("valid_from_ms", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    UniqueConstraint("offering", "plan", "per", "valid_from_ms"),
)

# Before it readings were thinned out: their windows are final.
state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
