"""Whether a rail may be rolled back or enabled again, judged by measured evidence."""
