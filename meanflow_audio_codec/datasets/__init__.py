"""Data sources with random access by step, so that training resumes exactly."""
