"""Pages for people: what an artifact says, laid out for a terminal."""
