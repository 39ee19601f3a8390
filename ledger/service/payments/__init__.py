"""Premium payments: the committee's part."""
