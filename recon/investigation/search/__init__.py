"""Searches rows, provider objects and transfers by key, amount or time, and tells what our rows know of each hit."""
