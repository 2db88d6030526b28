"""Ingestion: a source's rows into its table, bad ones to quarantine, its cursor in the same commit."""
