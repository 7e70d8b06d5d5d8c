//! How far a set of generated images is from a set of real ones, on plain feature matrices.
//!
//! A feature matrix is an `ndarray::ArrayView2<f32>` of shape `N × d`: one row for each image. Where the features come from is not
//! this crate's business; what they were made with is written into a [`Fingerprint`], because two Fréchet distances can be compared
//! only when it is the same.
//!
//! | module | what it holds |
//! |---|---|
//! | [`moments`] | mean and unbiased covariance of a feature matrix, streamed and merged |
//! | [`mod@fid`] | Fréchet distance between two Gaussians, with a report on their condition |
//! | [`bootstrap`] | spread of the Fréchet distance under resampling of the rows |
//! | [`infinite`] | Fréchet distance extrapolated to infinitely many samples |
//! | [`kid`] | kernel distance (unbiased MMD² with a cubic kernel), exact, with a bootstrap interval, or over subsets |
//! | [`sliced`] | sliced Wasserstein distance over seeded directions |
//! | [`neighbours`] | the k nearest rows of one matrix to every row of another, exact and fast |
//! | [`mod@prdc`] | precision, recall, density and coverage |
//! | [`mod@memorization`] | are samples copies of training images: ratios of distances, authenticity |
//! | [`classes`] | what a classifier says of every image |
//! | [`inception`] | inception score |
//! | [`histogram`] | χ² test of the classes' counts |
//! | [`interval`] | percentile intervals of a mean over images |
//! | [`fingerprint`] | the protocol of a number, and the refusal to compare unlike ones |
//! | [`splitmix`] | the small seeded generator that draws resamples, subsets and directions |
//! | [`error`] | everything that can be wrong with an input |
//!
//! All sums are kept in `f64`; distances between rows are screened in `f32` with bounds, and decided in `f64`. Products of the kernel
//! distance may be `f32` where their error has been measured to be far below a millionth of the value. Nothing here prints,
//! reads files or keeps global state.

pub mod bootstrap;
pub mod classes;
pub mod error;
pub mod fid;
pub mod fingerprint;
pub mod histogram;
pub mod inception;
pub mod infinite;
pub mod interval;
pub mod kid;
pub mod memorization;
pub mod moments;
pub mod neighbours;
pub mod prdc;
pub mod sliced;
pub mod splitmix;

mod dense;
mod nuclear;
mod screen;

pub use bootstrap::{Bootstrap, BootstrapOptions, Resampled, bootstrap_fid};
pub use classes::Classes;
pub use error::{MetricsError, Set};
pub use fid::{Condition, FewRows, Frechet, Prepared, fid, frechet};
pub use fingerprint::{Fingerprint, FingerprintMismatch};
pub use histogram::{ChiSquare, chi_square, chi_square_between};
pub use inception::{InceptionOptions, InceptionScore, Order, inception_score};
pub use infinite::{Infinite, InfiniteOptions, fid_infinity};
pub use interval::{Interval, Resampling};
pub use kid::{KidOptions, KidSpread, kid_bootstrap, kid_exact, kid_subsets};
pub use memorization::{Memorization, MemorizationOptions, Nearest, memorization};
pub use moments::{Accumulator, Moments};
pub use neighbours::{Neighbours, nearest, nearest_others};
pub use prdc::{Prdc, PrdcOptions, prdc};
pub use sliced::{Sliced, SlicedOptions, sliced_wasserstein};
