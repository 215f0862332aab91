"""What consumers see of the charts in tests/charts: `python -m tests.shared.golden` writes it anew, for your eyes."""

from pathlib import Path

import yaml

from shared.charts import Chart, inspect
from shared.folder import pack
from shared.selection import Selection, select
from tests.builders import offering

CHARTS = Path(__file__).parents[1] / "charts"
GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = sorted({path.name for path in CHARTS.iterdir()} - {"load"})  # that one is for a real node, and easy to read


def chart(name: str) -> Chart:
    return inspect(pack(CHARTS / name, name))


def everything(name: str) -> Selection:
    """The consumer API of an Offering that exposes all."""
    return select(offering(), chart(name))


def written(name: str) -> str:
    return yaml.safe_dump(everything(name).schema, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    for each in NAMES:
        (GOLDEN / f"{each}.yaml").write_text(written(each))
