"""How the ledger's tables came to be what they are, run by whoever opens it."""
