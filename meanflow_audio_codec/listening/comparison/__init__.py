"""A recording in several versions on one page: which codecs, what they make of it, and the page."""
