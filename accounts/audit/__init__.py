"""The record, once it is written: proving it, searching it, writing it out, and keeping what is old."""
