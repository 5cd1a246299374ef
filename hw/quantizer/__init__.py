"""The dynamic quantizer's two passes."""
