"""Measuring a model on data folders: generate, check, summarise."""
