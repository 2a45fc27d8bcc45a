"""One report in each format: for a terminal, as JSON, as CSV and as Markdown."""
