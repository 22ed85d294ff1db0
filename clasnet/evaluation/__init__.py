"""How good the found segments are, how sure that is, and where the errors lie."""
