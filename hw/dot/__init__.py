"""Block-scaled dot units: operands, exact dot, scales, accumulation over blocks."""
