"""The terminal: options in, results on stdout, everything else on stderr."""
