"""Charts made in memory, good and bad."""

import io
import tarfile
from collections.abc import Mapping

CHART = "apiVersion: v2\nname: made\nversion: 1.0.0\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\ndata: {}\n"


def archive(files: Mapping[str, str | bytes], *, top: str = "made/") -> bytes:
    """A .tgz of the files, each below the chart's own folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(top + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def chart(values: str = "", **templates: str) -> bytes:
    """A chart with these templates, by default one ConfigMap."""
    made = templates or {"config": CONFIG}
    return archive(
        {"Chart.yaml": CHART, "values.yaml": values} | {f"templates/{name}.yaml": text for name, text in made.items()}
    )
