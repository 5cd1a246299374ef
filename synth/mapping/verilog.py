"""A flat netlist as Verilog, for tools that read nothing else."""

from collections.abc import Iterator

from .netlist import CONSTANT_NETS, Netlist


def to_verilog(netlist: Netlist) -> str:
    """One module of instances. Names are escaped: those of nets and instances have dots."""
    return "\n".join(_lines(netlist)) + "\n"


def _lines(netlist: Netlist) -> Iterator[str]:
    bits = {net: f"1'b{value}" for net, value in CONSTANT_NETS.items()}
    ports = {"input": netlist.inputs, "output": netlist.outputs}
    assigned = []
    for kind in ports.values():
        for port, nets in kind.items():
            for place, net in enumerate(nets):
                bit = f"\\{port} " if len(nets) == 1 else f"\\{port} [{place}]"
                if bits.setdefault(net, bit) != bit:  # an output that is another port as well
                    assigned.append(f"  assign {bit} = {bits[net]};")
    names = ", ".join(f"\\{port} " for kind in ports.values() for port in kind)
    yield f"module \\{netlist.top} ({names});"
    for direction, kind in ports.items():
        for port, nets in kind.items():
            vector = "" if len(nets) == 1 else f"[{len(nets) - 1}:0] "
            yield f"  {direction} {vector}\\{port} ;"
    instances = []
    for name, cell in netlist.cells.items():
        pins = []
        for pin, net in cell.pins.items():
            if net not in bits:
                bits[net] = f"\\{net} "
                yield f"  wire \\{net} ;"
            pins.append(f".{pin}({bits[net]})")
        instances.append(f"  {cell.kind} \\{name} ({', '.join(pins)});")
    yield from instances
    yield from assigned
    yield "endmodule"
