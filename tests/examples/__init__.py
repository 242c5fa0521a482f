"""Programs that use rafty, each of them tested: read them, and take what you need."""
