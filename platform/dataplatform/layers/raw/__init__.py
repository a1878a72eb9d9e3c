"""Raw: pages as the source delivered them, in compressed JSON lines, append-only."""

from dataplatform.layers.raw.holdings import RawManifest, RawPart, baseline, batches, entities, manifest
from dataplatform.layers.raw.landing import Landing, Screen, land, land_together, reland
from dataplatform.layers.raw.reading import PageLines, checksum_of, read

__all__ = [
    "Landing",
    "PageLines",
    "RawManifest",
    "RawPart",
    "Screen",
    "baseline",
    "batches",
    "checksum_of",
    "entities",
    "land",
    "land_together",
    "manifest",
    "read",
    "reland",
]
