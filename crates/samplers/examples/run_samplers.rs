//! Runs samplers on a log-normal mixture with exact scores, from given starts and with given noise; for checks against
//! other implementations (`scripts/oracle_samplers.py`).
//!
//! JSON on standard input: the mixture, the noise levels `r`, `start` (rows × d), `noise` (draws × rows × d), `samplers`
//! (configuration tables), `precision`. JSON on standard output: for each sampler the centred log states after every step, and
//! the signs at the end.

use std::error::Error;
use std::io::{Read, stdin};
use std::ops::ControlFlow;

use gbm_sde::LogNormalMixture;
use ndarray::Array2;
use samplers::{GridConfig, NoiseSource, SampleError, SamplerConfig, State, Step};
use score_match::{DenoiseError, Denoiser};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    variances: Vec<Vec<f64>>,
    r: Vec<f64>,
    start: Vec<Vec<f64>>,
    noise: Vec<Vec<Vec<f64>>>,
    samplers: Vec<SamplerConfig>,
    precision: Precision,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Precision {
    F32,
    F64,
}

#[derive(Serialize)]
struct Answer {
    states: Vec<Vec<Vec<f64>>>,
    signs: Option<Vec<Vec<f64>>>,
}

/// The mixture, for states of either precision.
struct Law(LogNormalMixture);

trait Real: Copy + Clone + 'static {
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl<T: Real> Denoiser<Array2<T>> for Law {
    fn denoise(&self, y_bar: &Array2<T>, v: f64) -> Result<Array2<T>, DenoiseError> {
        Ok(self.0.denoise(&y_bar.map(|y| y.wide()), v)?.map(|&d| T::of(d)))
    }
}

/// Draw `step` of the list.
struct Given(Vec<Vec<Vec<f64>>>);

impl<T: Real> NoiseSource<Array2<T>> for Given
where
    Array2<T>: State,
{
    fn normal(&mut self, _: &Array2<T>, step: u32) -> Result<Array2<T>, SampleError> {
        let draw = self.0.get(step as usize).ok_or_else(|| SampleError::Backend(format!("there is no draw {step}")))?;
        matrix(draw).map_err(|error| SampleError::Backend(error.to_string()))
    }
}

fn matrix<T: Real>(rows: &[Vec<f64>]) -> Result<Array2<T>, ndarray::ShapeError> {
    let columns = rows.first().map_or(0, Vec::len);
    Array2::from_shape_vec((rows.len(), columns), rows.iter().flatten().map(|&x| T::of(x)).collect())
}

fn rows<T: Real>(array: &Array2<T>) -> Vec<Vec<f64>> {
    array.rows().into_iter().map(|row| row.iter().map(|x| x.wide()).collect()).collect()
}

fn run<T: Real>(request: &Request, law: &Law) -> Result<Vec<Answer>, Box<dyn Error>>
where
    Array2<T>: State,
{
    let grid = GridConfig::Table { r: request.r.clone() }.build(None)?;
    let mut answers = Vec::new();
    for config in &request.samplers {
        let sampler = config.build::<Array2<T>>()?;
        let mut states = Vec::new();
        let mut keep = |step: Step<'_, Array2<T>>| {
            states.push(rows(step.state));
            ControlFlow::Continue(())
        };
        let mut noise = Given(request.noise.clone());
        let end = sampler.sample(matrix(&request.start)?, law, &mut noise, &grid, &mut keep)?;
        answers.push(Answer { states, signs: end.signs.as_ref().map(rows) });
    }
    Ok(answers)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let request: Request = serde_json::from_str(&text)?;
    let law = Law(LogNormalMixture::new(request.weights.clone(), request.means.clone(), request.variances.clone())?);
    let answers = match request.precision {
        Precision::F32 => run::<f32>(&request, &law)?,
        Precision::F64 => run::<f64>(&request, &law)?,
    };
    println!("{}", serde_json::to_string(&answers)?);
    Ok(())
}
