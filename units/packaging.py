"""Generated files as a package of hardware build tools: a FuseSoC core and a Bender manifest."""

import importlib.metadata
from collections.abc import Sequence

_CORE = """\
CAPI=2:
name: mlsmac:generated:{slug}:{version}
description: "{description}"

filesets:
  rtl:
    files: [{slug}.v]
    file_type: verilogSource-2005
{bench}
targets:
  default:
    filesets: [rtl]
    toplevel: {slug}
  lint:
    filesets: [rtl]
    toplevel: {slug}
    flow: lint
    flow_options:
      tool: verilator
{sim}"""

_CORE_BENCH = """\
  tb:
    files:
      - {slug}_tb.v: {{file_type: verilogSource-2005}}
{vectors}"""

_CORE_SIM = """\
  sim:
    filesets: [rtl, tb]
    toplevel: {slug}_tb
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005]
  sim_verilator:
    filesets: [rtl, tb]
    toplevel: {slug}_tb
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing, -CFLAGS, -std=c++20, -CFLAGS, -fcoroutines]
"""

_BENDER = """\
package:
  name: {slug}
  description: "{description}"

sources:
  - files:
      - {slug}.v
"""

_BENDER_BENCH = """\
  - target: simulation
    files:
      - {slug}_tb.v
"""


def package_files(slug: str, description: str, bench: Sequence[str] = ()) -> dict[str, str]:
    """Texts by file name: `<slug>.core` (FuseSoC, CAPI2) and `Bender.yml`, for the unit's Verilog
    beside them; `bench`: names of the bench and of the files that it reads, the bench first, which
    a target for simulation gets.

    A folder has one `Bender.yml`: that of the unit written last.
    """
    core = _CORE.format(
        slug=slug,
        version=importlib.metadata.version("mlsmac"),
        description=description,
        bench=_core_bench(slug, bench[1:]) if bench else "",
        sim=_CORE_SIM.format(slug=slug) if bench else "",
    )
    bender = _BENDER.format(slug=slug, description=description)
    if bench:
        bender += _BENDER_BENCH.format(slug=slug)
    return {f"{slug}.core": core, "Bender.yml": bender}


def _core_bench(slug: str, read: Sequence[str]) -> str:
    # Copied, since a simulator looks for them where it runs.
    lines = (f"      - {name}: {{file_type: user, copyto: {name}}}\n" for name in read)
    return _CORE_BENCH.format(slug=slug, vectors="".join(lines))
