//! Networks of `dale`, on libtorch.
//!
//! | module | idea |
//! |---|---|
//! | [`params`] | all parameters in one flat buffer; the views a network computes with |
//! | [`layers`] | convolution, norm, residual block, attention, noise-level embedding |
//! | [`unet`] | the denoising network |
//! | [`optim`] | Adam and clipping over the flat buffer |
//! | [`average`] | averages of the weights: exponential, and power functions whose width is chosen later |
//! | [`probe`] | what every layer computes, in order |
//! | [`denoise`] | a network as the log denoiser `D(ȳ, v)` |
//! | [`checkpoint`] | safetensors with a JSON header, written atomically |
//! | [`classifier`] | the small CNN whose features judge the images |
//! | [`inception`] | Inception-v3 as the Fréchet inception distance defines it |
//! | [`pth`] | weights from PyTorch's files, without running what they contain |
//! | [`device`] | CPU or GPU, and why not |
//! | [`memory`] | freed memory stays with the process |
//! | [`mod@write`] | files that appear whole or not at all |
//! | [`precision`] | f32 or bf16, by a quick timing |

pub mod average;
pub mod checkpoint;
pub mod classifier;
pub mod denoise;
pub mod device;
mod error;
pub mod inception;
pub mod layers;
#[allow(unsafe_code)]
pub mod memory;
#[allow(unsafe_code)]
mod native;
pub mod optim;
pub mod params;
pub mod precision;
pub mod probe;
pub mod pth;
pub mod unet;
pub mod write;

pub use error::{ModelError, Result};
