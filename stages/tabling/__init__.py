"""What the tables say: their cells, results in print beside them, the series of plots, and how a table is written."""
