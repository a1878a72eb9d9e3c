"""Files: local folders or any fsspec URL, compressed, complete or absent."""

from dataplatform.storage.files import FileStore

__all__ = ["FileStore"]
