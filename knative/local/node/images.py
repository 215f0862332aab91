"""Images for a machine that pulls none: one static program on nothing, as an archive that containerd imports."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

LOAD = "chandlery.local/load:1"
PAUSE = "chandlery.local/pause:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def archive(image: str, program: Path, *command: str) -> bytes:
    """As `docker save` writes it: the same program gives the same bytes."""
    layer = _tar({program.name: (program.read_bytes(), 0o755), "tmp/": (b"", 0o1777)})
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}", *command]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
    }
    described = json.dumps(config).encode()
    name = f"{_digest(described)}.json"
    manifest = [{"Config": name, "RepoTags": [image], "Layers": ["layer.tar"]}]
    files = {name: described, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    return _tar({path: (content, 0o644) for path, content in files.items()})


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, (content, mode) in files.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            info.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
