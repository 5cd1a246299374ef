// The same in two cycles: no product register.
module int8_mac_2 (
  input clk,
  input start,
  input signed [7:0] w,
  input signed [7:0] a,
  output reg signed [31:0] acc
);
  reg signed [7:0] w_q, a_q;
  reg start_q;

  always @(posedge clk) begin
    w_q <= w;
    a_q <= a;
    start_q <= start;
    acc <= (start_q ? 32'sd0 : acc) + w_q * a_q;
  end
endmodule
