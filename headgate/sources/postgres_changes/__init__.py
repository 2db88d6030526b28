"""Changes of a PostgreSQL table: its snapshot, and what its server's log says happened since."""
