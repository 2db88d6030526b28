"""File formats: what a file of each holds, and how an engine is told to read it."""
