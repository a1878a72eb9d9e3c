"""How a warehouse is built from an evaluation: kimball or data_vault."""
