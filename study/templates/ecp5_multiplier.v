// Multiplication in carry chains of Lattice ECP5, for Yosys `techmap`.
//
// Each CCU2C adds two products of bits in either half, a & b + c & d: two rows of partial products
// cost no LUT beyond their sum's. A balanced tree of chains adds the rows. Yosys's own mapping
// compresses rows in LUTs that leave the carry chains unused: 3000 LUTs for 24 x 24 bits, not 700.
// Narrower ones than 4 bits are left to Yosys, which does them in fewer LUTs.

(* techmap_celltype = "$mul" *)
module multiplier (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  wire _TECHMAP_FAIL_ = A_SIGNED != B_SIGNED || A_WIDTH < 4 || B_WIDTH < 4;
  wire [A_WIDTH+B_WIDTH-1:0] product;
  rows #(.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .SIGNED(A_SIGNED), .NEGATIVE(A_SIGNED)) all (
    .A(A), .B(B), .Y(product)
  );
  wire sign = A_SIGNED && product[A_WIDTH+B_WIDTH-1];
  assign Y = {{Y_WIDTH{sign}}, product};
endmodule

// Y = A * B, a row for each bit of B, at least 2. SIGNED: A and Y are two's complement. NEGATIVE: so
// is B, its top row subtracts.
module rows (A, B, Y);
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 2;
  parameter SIGNED = 0;
  parameter NEGATIVE = 0;
  localparam WIDTH = A_WIDTH + B_WIDTH;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [WIDTH-1:0] Y;

  localparam LOW = 1 << ($clog2(B_WIDTH) - 1);  // rows of the lower half
  localparam SINGLE = B_WIDTH == LOW + 1;  // one row in the upper
  wire [WIDTH-1:0] a = {{WIDTH{SIGNED && A[A_WIDTH-1]}}, A};
  wire [WIDTH-1:0] low;
  wire [WIDTH-LOW-1:0] high;
  generate
    if (LOW == 1) assign low = a;
    else begin
      wire [A_WIDTH+LOW-1:0] product;
      rows #(.A_WIDTH(A_WIDTH), .B_WIDTH(LOW), .SIGNED(SIGNED)) lower (
        .A(A), .B(B[LOW-1:0]), .Y(product)
      );
      assign low = {{WIDTH{SIGNED && product[A_WIDTH+LOW-1]}}, product};
    end
    if (SINGLE) assign high = a;
    else
      rows #(
        .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH - LOW), .SIGNED(SIGNED), .NEGATIVE(NEGATIVE)
      ) upper (.A(A), .B(B[B_WIDTH-1:LOW]), .Y(high));
  endgenerate
  // A single row is still to be selected by its bit of B.
  wire select_low = LOW == 1 ? B[0] : 1'b1;
  wire select_high = SINGLE ? B[B_WIDTH-1] : 1'b1;
  assign Y[LOW-1:0] = low[LOW-1:0] & {LOW{select_low}};
  sum_of_products #(.WIDTH(WIDTH - LOW), .SUBTRACT(NEGATIVE && SINGLE)) sum (
    .A(high), .B({WIDTH{select_high}}), .C(low[WIDTH-1:LOW]), .D({WIDTH{select_low}}),
    .Y(Y[WIDTH-1:LOW])
  );
endmodule

// Y = (C & D) + (A & B), or less (A & B): plus its complement and one.
module sum_of_products (A, B, C, D, Y);
  parameter WIDTH = 1;
  parameter SUBTRACT = 0;
  input [WIDTH-1:0] A, B, C, D;
  output [WIDTH-1:0] Y;

  localparam PAIRS = (WIDTH + 1) / 2;
  // Its value, a & b ^ c & d, propagates; its lowest four bits, a & b, generate.
  localparam [15:0] LUT = SUBTRACT ? 16'h8777 : 16'h7888;
  wire [2*PAIRS-1:0] a = A, b = B, c = C, d = D, y;
  wire [PAIRS:0] carry;
  assign carry[0] = SUBTRACT;
  assign Y = y;

  genvar i;
  generate
    for (i = 0; i < PAIRS; i = i + 1) begin : pair
      CCU2C #(.INIT0(LUT), .INIT1(LUT), .INJECT1_0("NO"), .INJECT1_1("NO")) bits (
        .CIN(carry[i]), .COUT(carry[i+1]),
        .A0(a[2*i]), .B0(b[2*i]), .C0(c[2*i]), .D0(d[2*i]), .S0(y[2*i]),
        .A1(a[2*i+1]), .B1(b[2*i+1]), .C1(c[2*i+1]), .D1(d[2*i+1]), .S1(y[2*i+1])
      );
    end
  endgenerate
endmodule
