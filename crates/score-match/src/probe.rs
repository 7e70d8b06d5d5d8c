//! Random directions for stochastic traces and projections, from addressed noise.
//!
//! ```math
//! \mathbb{E}[u] = 0, \quad \mathbb{E}[u u^\top] = I \quad\Longrightarrow\quad
//! \mathbb{E}\big[ u^\top J u \big] = \operatorname{tr} J
//! ```
//!
//! The variance of `$u^\top J u$` is `$2 \|S\|_F^2$` for normal `$u$`, with `$S = (J + J^\top)/2$`, and
//! `$2 (\|S\|_F^2 - \sum_i S_{ii}^2)$` for Rademacher `$u$` (random signs), which is never more. Source: Hutchinson (1990).
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use gbm_sde::{Noise, Stream};
use ndarray::Array2;

/// The stream that probes come from unless another is named.
///
/// ```
/// use gbm_sde::Stream;
/// use score_match::{Probes, probe::PROBE_STREAM};
/// // not that of the noise, so a probe does not know the state's
/// assert!(Probes::new(7).stream == PROBE_STREAM && PROBE_STREAM != Stream::PERTURB);
/// ```
pub const PROBE_STREAM: Stream = Stream(0x5052);

/// The law of the coordinates of a probe.
///
/// ```
/// use score_match::{ProbeLaw, Probes};
/// let norms = |law| (Probes { law, ..Probes::new(7) }.rows(0, 100, 5).powi(2)).sum_axis(ndarray::Axis(1));
/// // ‖u‖² is d for signs, and d in the mean, with variance 2d, for normals.
/// assert!(norms(ProbeLaw::Rademacher).iter().all(|&norm| norm == 5.0));
/// assert!((norms(ProbeLaw::Normal).sum() / 100.0 - 5.0).abs() < 4.0 * f64::sqrt(2.0 * 5.0 / 100.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeLaw {
    /// Random signs.
    #[default]
    Rademacher,
    /// Standard normals.
    Normal,
}

/// Probes: row `i` of a batch gets `count` directions, a function of the seed and of its own index.
///
/// ```
/// use score_match::Probes;
/// let probes = Probes { first_index: 10, ..Probes::new(7) };
/// let u = probes.rows(0, 3, 5);
/// assert!(u.iter().all(|&u| u == 1.0 || u == -1.0));
/// // Row 12 is row 12, whatever the batch.
/// assert_eq!(u.row(2), Probes { first_index: 12, ..probes }.rows(0, 1, 5).row(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probes {
    /// The source.
    pub noise: Noise,
    /// The stream.
    pub stream: Stream,
    /// Index of the batch's first row; rows that are to have other probes need other indices.
    pub first_index: u64,
    /// Probes for each row, at least 1.
    pub count: u32,
    /// Law of their coordinates.
    pub law: ProbeLaw,
}

impl Probes {
    /// One Rademacher probe for each row, from index 0 on.
    ///
    /// ```
    /// use score_match::{ProbeLaw, Probes};
    /// let probes = Probes::new(7);
    /// assert_eq!((probes.count, probes.first_index, probes.law), (1, 0, ProbeLaw::default()));
    /// ```
    pub fn new(seed: u64) -> Self {
        let noise = Noise::new(seed);
        Self { noise, stream: PROBE_STREAM, first_index: 0, count: 1, law: ProbeLaw::Rademacher }
    }

    /// Probe number `probe` of each row: rows × d.
    ///
    /// ```
    /// let probes = score_match::Probes::new(7);
    /// // Each probe and row has directions of its own, and they are there again when asked for again.
    /// assert_eq!(probes.rows(1, 3, 40), probes.rows(1, 3, 40));
    /// assert!(probes.rows(1, 3, 40) != probes.rows(0, 3, 40));
    /// ```
    pub fn rows(&self, probe: u32, rows: usize, d: usize) -> Array2<f64> {
        let mut out = Array2::zeros((rows, d));
        let mut row_values = vec![0.0; d];
        for (i, mut row) in out.rows_mut().into_iter().enumerate() {
            let index = self.first_index.wrapping_add(i as u64);
            match self.law {
                ProbeLaw::Normal => self.noise.fill_normal_f64(self.stream, index, probe, &mut row_values),
                ProbeLaw::Rademacher => {
                    self.noise.fill_uniform_f64(self.stream, index, probe, &mut row_values);
                    row_values.iter_mut().for_each(|u| *u = if *u < 0.5 { -1.0 } else { 1.0 });
                }
            }
            row.iter_mut().zip(&row_values).for_each(|(to, &from)| *to = from);
        }
        out
    }
}
