"""Readers: each finds the files of one kind of source and says what their columns mean. One source per file."""
