"""Entries of the backend's own ledger, read only: where they are, and what each of them states."""
