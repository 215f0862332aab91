"""The whole stack on one machine, without containers: built from Go modules, run by supervisor."""
