"""The words that every part uses: exact money, ids, records, stored values, and the facts of chains and tokens."""
