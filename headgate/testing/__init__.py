"""The testing kit: conformance suites for those who implement a protocol of ours.

Each suite is a file of its own, such as ``headgate.testing.metastore_suite``.
"""
