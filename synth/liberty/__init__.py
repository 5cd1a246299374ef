"""Cell libraries: Liberty files, cells, PDKs."""
