"""Says what every table and column of a schema is, and builds the warehouse from it."""
