"""Where the API server finds the function that converts instances: by URL on one machine, as a Service in a cluster."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shared.resources import SYSTEM_NAMESPACE

URL, CA = "CHANDLERY_CONVERSION_URL", "CHANDLERY_CONVERSION_CA"
SERVICE = "convert-instances"


@dataclass(frozen=True)
class Webhook:
    url: str | None
    ca: Path | None

    @classmethod
    async def open(cls) -> Self:
        """As the environment says: without the certificates of who signed its own, there is none."""
        ca = os.environ.get(CA)
        return cls(os.environ.get(URL) or None, Path(ca) if ca else None)

    async def close(self) -> None:
        pass

    def client_config(self, crd: str, edition: str) -> dict[str, Any] | None:
        """For a CRD in one edition: the path says which, so that nobody converts by an outdated one."""
        if self.ca is None or not self.ca.is_file():
            return None
        bundle = base64.b64encode(self.ca.read_bytes()).decode()
        path = f"/{crd}/{edition}"
        if self.url:
            return {"url": self.url.rstrip("/") + path, "caBundle": bundle}
        service = {"namespace": SYSTEM_NAMESPACE, "name": SERVICE, "path": path, "port": 443}
        return {"service": service, "caBundle": bundle}
