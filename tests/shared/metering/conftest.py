from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.metering.ledger import Ledger
from tests.shared.metering.databases import Postgres, programs

MISSING = "PostgreSQL's server programs are missing: apt-get install postgresql"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    found = programs()
    if found is None:
        pytest.skip(MISSING)
    with TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:  # short: sockets' paths are
        Path(folder).chmod(0o755)
        server = Postgres(found, Path(folder) / "s")
        server.make()
        server.start()
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url)
    yield opened
    await opened.close()
