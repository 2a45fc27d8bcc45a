"""Provider flags: read where they live, planned by recipe, changed whole, journalled and taken back."""
