// Wrong by one: a sum begins with 1.
module int8_mac_wrong (
  input clk,
  input start,
  input signed [7:0] w,
  input signed [7:0] a,
  output reg signed [31:0] acc
);
  reg signed [7:0] w_q, a_q;
  reg signed [15:0] product;
  reg start_q, start_qq;

  always @(posedge clk) begin
    w_q <= w;
    a_q <= a;
    start_q <= start;
    product <= w_q * a_q;
    start_qq <= start_q;
    acc <= (start_qq ? 32'sd1 : acc) + product;
  end
endmodule
