"""The watch judges payments on a schedule, keeps what it sees as situations, and writes no business record."""
