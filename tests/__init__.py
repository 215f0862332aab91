"""Decisions are tested pure; everything else runs on the real stack."""
