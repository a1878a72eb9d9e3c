"""dataplatform: a self-hosted, metadata-driven data platform for personal data."""

__version__ = "0.2.0"
