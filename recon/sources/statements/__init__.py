"""Bank statements, ISO 20022 camt.053 and MT940, as exact records, with what their own balances say of them."""
