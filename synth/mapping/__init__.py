"""RTLIL to a netlist of library cells."""
