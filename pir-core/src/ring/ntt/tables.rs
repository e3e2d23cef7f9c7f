use super::super::{DEGREE, ORBIT, Prime, inverse_mod, mul_mod, pow_mod};

/// A factor and its Shoup companion ⌊factor·2^32/m⌋.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Twiddle {
    pub(super) factor: u32,
    pub(super) companion: u32,
}

impl Twiddle {
    fn new(factor: u32, modulus: u32) -> Self {
        let companion = ((u64::from(factor) << 32) / u64::from(modulus)) as u32;
        Self { factor, companion }
    }
}

/// Sixteen twiddles as the vector kernels load them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct TwiddleVector {
    pub(super) factor: [u32; 16],
    pub(super) companion: [u32; 16],
}

/// Constants of the transform for one modulus.
#[derive(Debug)]
pub struct Tables {
    /// Factors by tree node: level m, node n at index 2^m + n. The node's
    /// index is (h, low bits of i from bit 0 on), most significant bit first.
    pub(super) forward: Box<[Twiddle; DEGREE]>,
    /// Inverses of `forward`.
    pub(super) inverse: Box<[Twiddle; DEGREE]>,
    /// d^{-1}, and d^{-1} times the inverse factor of the root.
    pub(super) scale: Twiddle,
    pub(super) scaled_root: Twiddle,
    /// Levels 7 to 10 for the vector kernels: for each of the 8 columns
    /// `4h + c` the 1 + 2 + 4 + 8 vectors of the four levels, lane l standing
    /// for the orbit indices i ≡ l + 16c (mod 64).
    pub(super) forward_lanes: Box<[[TwiddleVector; 15]; 8]>,
    pub(super) inverse_lanes: Box<[[TwiddleVector; 15]; 8]>,
}

impl Tables {
    /// Computes the constants for `M`.
    #[must_use]
    pub fn new<M: Prime>() -> Self {
        let modulus = M::MODULUS;
        let mut forward = Box::new([Twiddle::default(); DEGREE]);
        let mut inverse = Box::new([Twiddle::default(); DEGREE]);
        for level in 0..DEGREE.ilog2() {
            for node in 0..1usize << level {
                let factor = pow_mod(M::PSI, node_exponent(level, node), modulus);
                let index = (1 << level) + node;
                forward[index] = Twiddle::new(factor, modulus);
                inverse[index] = Twiddle::new(inverse_mod(factor, modulus), modulus);
            }
        }
        let scale = inverse_mod(DEGREE as u32, modulus);
        let scaled_root = mul_mod(scale, inverse[1].factor, modulus);
        Self {
            scale: Twiddle::new(scale, modulus),
            scaled_root: Twiddle::new(scaled_root, modulus),
            forward_lanes: lanes(&forward),
            inverse_lanes: lanes(&inverse),
            forward,
            inverse,
        }
    }
}

/// Exponent of ψ by which a node multiplies its upper half: u·d/2^{m+1} with u
/// any slot of the left child.
fn node_exponent(level: u32, node: usize) -> u64 {
    let order = 2 * DEGREE as u64;
    // The root splits by h; below it, the top bit of `node` is h and the rest
    // are the bits of i, lowest first.
    let (h, i) = if level == 0 {
        (0, 0)
    } else {
        let bits = level - 1;
        (node >> bits, reverse_bits(node & ((1 << bits) - 1), bits))
    };
    let mut u = 1;
    for _ in 0..i {
        u = u * 5 % order;
    }
    if h == 1 {
        u = order - u;
    }
    (u * (DEGREE as u64 >> (level + 1))) % order
}

/// The low `bits` bits of `x` in reverse.
pub(super) fn reverse_bits(x: usize, bits: u32) -> usize {
    if bits == 0 {
        0
    } else {
        x.reverse_bits() >> (usize::BITS - bits)
    }
}

/// Regroups the factors of levels 7 to 10 by lanes.
fn lanes(factors: &[Twiddle; DEGREE]) -> Box<[[TwiddleVector; 15]; 8]> {
    let empty = TwiddleVector {
        factor: [0; 16],
        companion: [0; 16],
    };
    let mut result = Box::new([[empty; 15]; 8]);
    for (column, vectors) in result.iter_mut().enumerate() {
        let (h, c) = (column / 4, column % 4);
        for depth in 0..4usize {
            let level = 7 + depth;
            for prefix in 0..1 << depth {
                let vector = &mut vectors[(1 << depth) - 1 + prefix];
                for lane in 0..16 {
                    // Bits 0..6 of i are lane and column, the next `depth`
                    // bits are the prefix, its top bit the lowest.
                    let i = lane + 16 * c + 64 * reverse_bits(prefix, depth as u32);
                    let bits = level as u32 - 1;
                    let node = (h << bits) + reverse_bits(i, bits);
                    let twiddle = factors[(1 << level) + node];
                    vector.factor[lane] = twiddle.factor;
                    vector.companion[lane] = twiddle.companion;
                }
            }
        }
    }
    result
}

/// Index in orbit order of position `p` of the splitting tree's leaves.
pub(super) fn orbit_index(position: usize) -> usize {
    let (h, i) = (position / ORBIT, position % ORBIT);
    h * ORBIT + reverse_bits(i, ORBIT.ilog2())
}
