"""The words of the house: exact money, ids, records, stored values and what is known of chains and tokens."""
