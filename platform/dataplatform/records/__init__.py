"""What a record is: kinds, flattened form, key and the hashes that identify it. Knows no source, no server."""
