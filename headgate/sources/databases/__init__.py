"""SQL databases: one source for all, and for each the way it is described and read."""
