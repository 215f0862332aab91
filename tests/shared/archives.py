"""Archives for tests: charts as they should be, and as they should not."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping

from shared.charts import Chart, inspect

CHART = "apiVersion: v2\nname: hello\nversion: 1.2.3\n"

Change = Callable[[tarfile.TarInfo], None]


def archive(files: dict[str, str | bytes], *more: tuple[str, Change]) -> bytes:
    """The files by their whole path; `more` are empty entries with something odd about them."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
        for name, change in more:
            entry = tarfile.TarInfo(name)
            change(entry)
            tar.addfile(entry)
    return gzip.compress(tarred.getvalue(), compresslevel=1, mtime=0)


def add(tar: tarfile.TarFile, name: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def chart(**files: str | bytes) -> bytes:
    """A chart called hello; keywords are its files, with __ for / and _yaml for .yaml."""
    named = {
        name.replace("__", "/")
        .replace("_yaml", ".yaml")
        .replace("_tgz", ".tgz")
        .replace("_schema_json", ".schema.json"): text
        for name, text in files.items()
    }
    return archive({f"hello/{name}": text for name, text in {"Chart.yaml": CHART, **named}.items()})


def chart_with(values: Mapping[str, object]) -> Chart:
    """A chart that has these values and no other words."""
    return inspect(chart(values_yaml=json.dumps(values, ensure_ascii=False)))
