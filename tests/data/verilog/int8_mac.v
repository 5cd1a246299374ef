// A plain INT8 multiply-accumulate unit: operand, product and accumulator registers; the sum wraps.
module int8_mac (
  input clock,
  input clear,
  input signed [7:0] x,
  input signed [7:0] y,
  output reg signed [31:0] sum
);
  reg signed [7:0] x_q, y_q;
  reg signed [15:0] product;
  reg clear_q, clear_qq;

  always @(posedge clock) begin
    x_q <= x;
    y_q <= y;
    clear_q <= clear;
    product <= x_q * y_q;
    clear_qq <= clear_q;
    sum <= (clear_qq ? 32'sd0 : sum) + product;
  end
endmodule
