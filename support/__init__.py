"""What every package needs: errors, files written whole, tools, words of bits, the cache."""
