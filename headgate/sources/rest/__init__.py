"""REST APIs: what is declared of one, and reading it: every record once, in order."""
