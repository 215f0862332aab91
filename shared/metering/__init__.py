"""From readings to invoices: what was read, what it adds up to, what it costs, and the ledger that keeps it."""
