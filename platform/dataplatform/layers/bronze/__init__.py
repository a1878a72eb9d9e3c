"""Bronze: every distinct version of every record, as it came, in MongoDB; and which batch held which."""

from dataplatform.layers.bronze.load import load
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.store import Bronze

__all__ = ["Bad", "Bronze", "load"]
