"""The sections of the report: each turns results into blocks of the page."""
