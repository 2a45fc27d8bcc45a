"""Provider flags: read where they live, planned by recipe, changed atomically, journalled, and taken back."""
