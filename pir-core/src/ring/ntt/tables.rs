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

/// Twiddles of `N` lanes as the vector kernels load them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct TwiddleVector<const N: usize> {
    pub(super) factor: [u32; N],
    pub(super) companion: [u32; N],
}

/// For each direction the twiddles of the last log2 `N` levels, for kernels
/// whose vectors have `N` lanes: for each of the columns (h, c) the 1 + 2 + …
/// vectors of the levels, lane l standing for the orbit indices
/// i ≡ l + N·c (mod d/2N).
#[derive(Debug)]
pub(super) struct LaneTables<const N: usize> {
    pub(super) forward: Vec<Vec<TwiddleVector<N>>>,
    pub(super) inverse: Vec<Vec<TwiddleVector<N>>>,
}

impl<const N: usize> LaneTables<N> {
    fn new(forward: &[Twiddle; DEGREE], inverse: &[Twiddle; DEGREE]) -> Self {
        Self {
            forward: lanes(forward),
            inverse: lanes(inverse),
        }
    }
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
    pub(super) eight: LaneTables<8>,
    pub(super) sixteen: LaneTables<16>,
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
            eight: LaneTables::new(&forward, &inverse),
            sixteen: LaneTables::new(&forward, &inverse),
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

/// Regroups the factors of the last log2 N levels by lanes.
fn lanes<const N: usize>(factors: &[Twiddle; DEGREE]) -> Vec<Vec<TwiddleVector<N>>> {
    let (width, levels) = (N.ilog2(), DEGREE.ilog2());
    let columns = ORBIT / (N * N);
    let vectors = |column: usize| {
        let (h, c) = (column / columns, column % columns);
        let vector = |depth: u32, prefix: usize| {
            let lane = |lane: usize| {
                // The low bits of i are lane and column, the next `depth` bits
                // are the prefix, its top bit the lowest.
                let i = lane + N * c + (ORBIT / N) * reverse_bits(prefix, depth);
                let level = levels - width + depth;
                factors[(1 << level) + (h << (level - 1)) + reverse_bits(i, level - 1)]
            };
            TwiddleVector {
                factor: std::array::from_fn(|l| lane(l).factor),
                companion: std::array::from_fn(|l| lane(l).companion),
            }
        };
        (0..width)
            .flat_map(|depth| (0..1 << depth).map(move |prefix| (depth, prefix)))
            .map(|(depth, prefix)| vector(depth, prefix))
            .collect()
    };
    (0..2 * columns).map(vectors).collect()
}

/// Index in orbit order of position `p` of the splitting tree's leaves.
pub(super) fn orbit_index(position: usize) -> usize {
    let (h, i) = (position / ORBIT, position % ORBIT);
    h * ORBIT + reverse_bits(i, ORBIT.ilog2())
}
