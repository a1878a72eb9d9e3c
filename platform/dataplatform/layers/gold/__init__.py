"""Gold: SQL models, built in the order of their dependencies, each in one transaction."""
