"""Salesforce: orders of a portal, whether they were approved, and whether what was ordered is delivered."""
