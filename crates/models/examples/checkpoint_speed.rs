//! Writes checkpoints of a large network and prints seconds and bytes of each, as JSON (scripts/bench_checkpoint.py).
//!
//! ```text
//! checkpoint_speed FOLDER TIMES
//! ```

use std::path::Path;
use std::time::Instant;

use models::checkpoint::{self, Header, Parts, TrainingParts};
use models::denoise::Head;
use models::params::Flat;
use models::unet::{UNetConfig, layout_of};
use score_match::DataMoments;
use tch::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, times] = &arguments[..] else { return Err("checkpoint_speed FOLDER TIMES".into()) };
    let network = UNetConfig::preset("unet-60m")?;
    let layout = layout_of(&network)?;
    let flat = |seed| Flat::initialized(&layout, seed, Device::Cpu);
    let (ema, weights, mean, square) = (flat(1)?, flat(2)?, flat(3)?, flat(4)?);
    let training = TrainingParts { weights: &weights, mean: &mean, square: &square, averages: &[] };
    let moments = DataMoments { log_mean: 0.1, log_sd: 0.2 };
    let header = Header::new(network, Head::Preconditioned, moments);
    let path = Path::new(folder).join("checkpoint.safetensors");
    let mut seconds = Vec::new();
    for _ in 0..times.parse::<usize>()? {
        let start = Instant::now();
        checkpoint::save(&path, &header, &layout, Parts { ema: &ema, training: Some(training) })?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let bytes = std::fs::metadata(&path)?.len();
    println!("{}", serde_json::json!({ "parameters": layout.total(), "bytes": bytes, "seconds": seconds }));
    Ok(())
}
