"""Why one payment is stuck, and what an incident's logs and deliveries show."""
