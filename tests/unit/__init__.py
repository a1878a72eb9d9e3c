"""Tests that need no server: seconds for all of them, `make check` runs them at every save."""
