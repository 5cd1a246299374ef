// Types of the MAC in int8_mac_sv.sv.
package mac_types;
  parameter int OperandWidth = 8;
  parameter int SumWidth = 32;
  typedef logic signed [OperandWidth-1:0] operand_t;
  typedef logic signed [SumWidth-1:0] sum_t;
  typedef struct packed {
    operand_t w;
    operand_t a;
    logic start;
  } operation_t;
endpackage
