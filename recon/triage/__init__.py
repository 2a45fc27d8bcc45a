"""What came to the backend's door during an incident: access logs, deliveries, dead letters, and the first page."""
