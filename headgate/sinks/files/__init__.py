"""Published tables as files: in a directory, or in an object store."""
