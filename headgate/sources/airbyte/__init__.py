"""Airbyte connectors as sources: programs that speak the Airbyte protocol on their stdout."""
