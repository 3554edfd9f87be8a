"""Text for people: redaction, quoting, plurals and byte sizes. Imports nothing of this package."""
