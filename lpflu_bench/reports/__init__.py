"""Reports of studies: statistics, tables, figures, the page, LaTeX, and the published numbers."""
