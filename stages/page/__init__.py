"""The report page: its frame (HTML, CSS, JavaScript), and the parts of its data that take some work."""
