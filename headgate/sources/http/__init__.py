"""HTTP for sources: one client, what its failures mean, and who may ask when."""
