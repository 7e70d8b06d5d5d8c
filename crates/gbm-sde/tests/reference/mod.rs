//! Values computed elsewhere: `laws.toml`, written by `laws.py`.

#![allow(dead_code, reason = "every test file reads its own part")]

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Laws {
    pub(crate) scipy_values: usize,
    pub(crate) scipy_unsound: usize,
    pub(crate) points: Vec<Vec<f64>>,
    pub(crate) quantiles: Vec<Vec<f64>>,
    pub(crate) moments: Vec<Vec<f64>>,
    pub(crate) kolmogorov: Vec<Vec<f64>>,
    pub(crate) anderson_limit: Vec<Vec<f64>>,
    pub(crate) anderson_few: Vec<Vec<f64>>,
    pub(crate) sample: Vec<f64>,
    pub(crate) sample_ks: [f64; 2],
    pub(crate) sample_a2: f64,
    pub(crate) knots: Vec<[f64; 2]>,
    pub(crate) pchip: Vec<[f64; 3]>,
}

pub(crate) fn laws() -> Laws {
    toml::from_str(include_str!("laws.toml")).unwrap()
}
