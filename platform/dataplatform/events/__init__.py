"""Events: what may be told, written with the data it tells of, and delivered afterwards."""
