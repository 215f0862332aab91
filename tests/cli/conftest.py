"""Databases of either kind, as the ledger's own tests have them."""

from tests.shared.metering.conftest import postgres, url

__all__ = ["postgres", "url"]
