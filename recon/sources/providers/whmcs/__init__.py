"""WHMCS: a billing system whose invoices, transactions, credits and refunds are money on no chain."""
