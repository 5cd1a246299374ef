"""Multiply-accumulate units under one wrapper."""
