"""Bronze: every distinct version of every record, as it came, in MongoDB; and which batch held which."""

from dataplatform.layers.bronze.load import Loaded, load
from dataplatform.layers.bronze.manifest import Held, Manifest
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.store import Bronze

__all__ = ["Bad", "Bronze", "Held", "Loaded", "Manifest", "load"]
