"""Each result as a report: its headline, its tables and its notes."""
