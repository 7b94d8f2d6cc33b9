"""Data sources, the problem generator and audits; everything here writes data folders."""
