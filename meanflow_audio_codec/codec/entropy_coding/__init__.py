"""Integers to bits and back: tables, the range coder, and what codes a packet's codes and side information."""
