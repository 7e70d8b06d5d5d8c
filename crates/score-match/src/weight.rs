//! Time weights: how much each noise level counts.
//!
//! ```text
//! E_v λ(v) ½ ‖h_θ − h_target‖²  =  E_v (λ(v)/v²) ½ ‖D_θ − y_0‖²           since h_θ − h_target = (D_θ − y_0)/v
//! ```
//!
//! | [`TimeWeight`] | `λ(v)` | `λ/v²` on the denoiser's error | what it is |
//! |---|---|---|---|
//! | paper | `v²` | `1` | the published training loss: regresses `v h` |
//! | noise | `v` | `1/v` | unweighted noise prediction (Ho et al. 2020) |
//! | edm | `v (v + σ_d²)/σ_d²` | `(v + σ_d²)/(v σ_d²)` | unit-variance network target (Karras et al. 2022) |
//! | likelihood | `1` | `1/v²` | with `v` drawn uniformly, the bound on the likelihood (Song et al. 2021) |

use serde::{Deserialize, Serialize};

/// A time weight `λ(v)`, relative to denoising score matching on the Hyvärinen score.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum TimeWeight {
    /// `v²`: unweighted on the denoiser.
    Paper,
    /// `v`: unweighted on the predicted noise.
    Noise,
    /// `v (v + σ_d²)/σ_d²`: unweighted on the preconditioned network's output.
    #[default]
    Edm,
    /// `1` per unit of `v`, which is `σ²(t)` per unit of time.
    Likelihood,
}

impl TimeWeight {
    /// `λ(v)` for a data set whose logarithm has standard deviation `sigma_d`.
    pub fn lambda(self, v: f64, sigma_d: f64) -> f64 {
        match self {
            Self::Paper => v * v,
            Self::Noise => v,
            Self::Edm => v * (v + sigma_d * sigma_d) / (sigma_d * sigma_d),
            Self::Likelihood => 1.0,
        }
    }

    /// The same weight as a factor of `‖D − y_0‖²`: `λ(v)/v²`.
    pub fn denoiser_factor(self, v: f64, sigma_d: f64) -> f64 {
        self.lambda(v, sigma_d) / (v * v)
    }
}
