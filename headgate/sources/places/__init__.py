"""Places: where files lie. What is there, in which state, and how one gets here."""
