"""Where the cells of a mapped netlist lie, the wires between them, and the clock's tree."""
