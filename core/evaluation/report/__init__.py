"""An evaluation as one page: what was measured, how it came about, and where each number is from."""
