"""What there is, for people: dataclasses that the command line prints and the web pages show. Writes nothing."""
