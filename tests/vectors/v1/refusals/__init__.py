"""Objects that are refused, by kind."""
