"""The outside world as tables, read only: one module per kind of source, one interface for all."""
