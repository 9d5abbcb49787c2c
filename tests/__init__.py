"""Tests: units, the system on the stand, and the stand itself."""
