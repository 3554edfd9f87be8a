"""Text for people: redaction, quoting, plurals and byte sizes. Imports no other package of ours."""
