"""Figures 2 to 5: one module each, with ``draw(params)``, and the style that they share."""
