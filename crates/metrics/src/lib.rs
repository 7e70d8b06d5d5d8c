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
//! | [`kid`] | kernel distance (unbiased MMD² with a cubic kernel), exact or over subsets |
//! | [`bootstrap`] | spread of the Fréchet distance under resampling of the rows |
//! | [`fingerprint`] | the protocol of a number, and the refusal to compare unlike ones |
//! | [`splitmix`] | the small seeded generator that draws resamples |
//! | [`error`] | everything that can be wrong with an input |
//!
//! All sums are kept in `f64`. Nothing here prints, reads files or keeps global state.

pub mod bootstrap;
pub mod error;
pub mod fid;
pub mod fingerprint;
pub mod interval;
pub mod kid;
pub mod memorization;
pub mod moments;
pub mod neighbours;
pub mod prdc;
pub mod splitmix;

mod dense;
mod screen;

pub use bootstrap::{Bootstrap, BootstrapOptions, Resampled, bootstrap_fid};
pub use error::{MetricsError, Set};
pub use fid::{Condition, Frechet, Prepared, fid, frechet};
pub use fingerprint::{Fingerprint, FingerprintMismatch};
pub use interval::{Interval, Resampling};
pub use kid::{KidOptions, KidSpread, kid_exact, kid_subsets};
pub use memorization::{Memorization, MemorizationOptions, Nearest, memorization};
pub use moments::{Accumulator, Moments};
pub use neighbours::{Neighbours, nearest, nearest_others};
pub use prdc::{Prdc, PrdcOptions, prdc};
