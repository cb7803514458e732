"""Advisory locks of the database: what only one job at a time may do."""

from __future__ import annotations

UNITS_TURN = 5_064_212_379_226_001_231
"""Writing organisation units. Two writers that meet in the same names would wait for each other."""
