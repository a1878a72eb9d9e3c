"""Work on what is there, asked for by a person: in comes a Platform, out goes what was done. Only `cli/` calls it."""
