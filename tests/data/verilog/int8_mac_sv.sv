// An INT8 MAC in SystemVerilog with a synchronous reset and an enable.
module int8_mac_sv
  import mac_types::*;
(
  input  logic     clk_i,
  input  logic     rst_ni,
  input  logic     en_i,
  input  operand_t w_i,
  input  operand_t a_i,
  input  logic     start_i,
  output sum_t     acc_o,
  output logic     valid_o
);
  operation_t operation;
  logic signed [2*OperandWidth-1:0] product;
  logic start_q, first_q, second_q;

  always_ff @(posedge clk_i) begin : pipeline
    if (!rst_ni) begin
      {operation, product, start_q, acc_o} <= '0;
      {first_q, second_q, valid_o} <= '0;
    end else if (en_i) begin
      operation <= '{w: w_i, a: a_i, start: start_i};
      product   <= operation.w * operation.a;
      start_q   <= operation.start;
      acc_o     <= (start_q ? sum_t'(0) : acc_o) + product;
      {valid_o, second_q, first_q} <= {second_q, first_q, 1'b1};
    end
  end
endmodule
