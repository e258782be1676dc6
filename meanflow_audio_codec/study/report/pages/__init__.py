"""The report's document and its two writers, Markdown and HTML."""
