//! Images under rising noise, and samples as they form.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use gbm_sde::{Noise, Schedule, Stream};
use ndarray::{Array3, ArrayView3, Axis, concatenate};
use samplers::{AddressedNoise, Sampler};
use tch::Tensor;

use crate::config::Experiment;
use crate::data::Dataset;
use crate::generate::{Trained, statistics};
use crate::pixels;
use crate::report::image::Strip;
use crate::session::Session;

/// Levels of the forward path that are shown, as `r`.
const LEVELS: [f64; 9] = [0.0, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0];

/// Noise of the forward path.
const NOISE: Stream = Stream(67);

/// Images at one noise level, N × H × W.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The level `r = √v`.
    pub r: f64,
    /// The images, clamped to the range that is shown.
    pub images: Array3<u8>,
}

impl State {
    /// The level as it is written below a picture.
    #[must_use]
    pub fn caption(&self) -> String {
        let r = self.r;
        match r {
            0.0 => "r = 0".into(),
            r if r < 0.995 => format!("r = {r:.2}"),
            _ => format!("r = {r:.1}"),
        }
    }
}

/// Images at rising levels of the process, each with one draw of noise for all levels.
///
/// # Errors
/// If libtorch refuses.
pub fn forward(e: &Experiment, images: ArrayView3<'_, u8>, session: &Session) -> Result<Vec<State>> {
    let schedule = Schedule::new(e.process.clone())?;
    let top = schedule.log_variance(schedule.horizon()).sqrt();
    let y0 = e.pixels.log_tensor(&pixels::to_tensor(images, session.device)?)?;
    let (n, c, h, w) = y0.size4()?;
    let z = pixels::normals(&Noise::new(e.seed), NOISE, 0, [n, c, h, w], session.device)?;
    let levels = LEVELS.iter().copied().filter(|r| *r <= top * (1.0 + 1e-9));
    levels.map(|r| Ok(State { r, images: pixels::to_array(&e.pixels.bytes(&(&y0 + &z * r), None)?)? })).collect()
}

/// The first `n` samples of the experiment as they form: the prior's draw, and as many states more as asked for (or as there are
/// steps), evenly spread over the steps.
///
/// # Errors
/// As [`Plan::generate`](crate::generate::Plan::generate).
pub fn reverse(
    e: &Experiment,
    trained: &Trained,
    data: &Dataset,
    (n, shown): (usize, usize),
    session: &Session,
) -> Result<Vec<State>> {
    let schedule = Schedule::new(e.process.clone())?;
    let grid = e.sampling.grid.build(Some(&schedule))?;
    let statistics = statistics(&e.sampling.prior, e.pixels, data)?;
    let prior = e.sampling.prior.build(&trained.header.moments, statistics.as_ref(), grid.start())?;
    let sampler: Box<dyn Sampler<Tensor>> = e.sampling.sampler.build()?;
    let denoiser = trained.asked(&e.sampling, n, 0..n)?;
    let start = prior.draw_tensor(&Noise::new(e.seed), 0, &trained.shape(n), session.device)?;
    let mut states = vec![State { r: grid.start().sqrt(), images: pixels::to_array(&e.pixels.bytes(&start, None)?)? }];
    let mut source = AddressedNoise::sampler(e.seed, 0);
    let mut failure = None;
    let shown = shown.clamp(1, grid.steps());
    let wanted: Vec<usize> = (1..=shown).map(|j| (j * grid.steps()).div_ceil(shown) - 1).collect();
    let mut keep = |step: samplers::Step<'_, Tensor>| {
        if wanted.contains(&step.index) {
            match e.pixels.bytes(step.state, step.signs).and_then(|b| pixels::to_array(&b)) {
                Ok(images) => states.push(State { r: step.v.sqrt(), images }),
                Err(error) => failure = Some(error),
            }
        }
        if session.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let _ = sampler.sample(start, &denoiser, &mut source, &grid, &mut keep)?;
    session.check()?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(states),
    }
}

/// The first test image forward, and the first sample in reverse.
///
/// # Errors
/// As [`forward`] and [`reverse`].
pub fn strips(e: &Experiment, trained: &Trained, data: &Dataset, session: &Session) -> Result<[Strip; 2]> {
    let (first, _) = data.test.slice(0..1);
    let forward = forward(e, first, session)?;
    let reverse = reverse(e, trained, data, (1, forward.len() - 1), session)?;
    Ok([strip("forward", &forward)?, strip("reverse", &reverse)?])
}

/// All images of some states in a row.
fn strip(name: &str, states: &[State]) -> Result<Strip> {
    let views: Vec<_> = states.iter().map(|state| state.images.view()).collect();
    let captions = states.iter().map(State::caption).collect();
    Ok(Strip { name: name.into(), images: concatenate(Axis(0), &views).context("joining images")?, captions })
}
