"""How events look. A format is a pure function from an event to a line; `table` has all there are."""
