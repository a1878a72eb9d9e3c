"""The layers: raw, bronze, silver, gold. They never import one another; pipeline.py joins them."""
