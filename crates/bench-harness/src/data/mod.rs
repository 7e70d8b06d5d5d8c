//! The data room: from a name in an experiment to checked bytes in memory.
//!
//! [`load`] finds the files of a data set ([`locate`]), downloads what is missing where that is allowed
//! ([`fetch`]), compares every checksum ([`catalog`], [`digest`]) before a byte is used, decodes ([`idx`]) and
//! cross-checks. The data set `glyphs` needs no file: [`glyphs`] draws it. Images of one's own come from any file ([`own`]).
//!
//! Nothing here reads an environment variable or prints: the caller passes folders and policy in a [`Search`], and
//! a closure that hears of progress.

pub mod catalog;
pub mod config;
pub mod digest;
pub mod error;
pub mod fetch;
pub mod glyphs;
pub mod idx;
mod load;
pub mod locate;
pub mod own;
pub mod set;
pub mod status;
mod transfer;

#[cfg(test)]
mod test_server;

pub use config::{DataConfig, GlyphsConfig, SubsetConfig, WantedFile};
pub use error::{DataError, MissingFiles};
pub use fetch::{FetchError, FetchOptions, Progress};
pub use load::{fetch_missing, load};
pub use locate::{FetchPolicy, Search, user_cache};
pub use own::OwnConfig;
pub use set::{Dataset, ImageSet, Origin};
pub use status::{DatasetStatus, Depth, FileState, FileStatus, status, status_all};
