//! The U-Net's output for an input that a formula gives, for setting it beside another implementation (scripts/check_unet.py).
//!
//! ```text
//! unet_output small FILE      writes the weights of a small network with classes
//! unet_output run FILE        prints the output of the network of a weights file, as JSON
//! ```

use std::path::Path;

use models::Result;
use models::checkpoint::{self, Header, Parts};
use models::denoise::Head;
use models::params::{Flat, Gradient};
use models::unet::{UNet, UNetConfig, layout_of};
use score_match::DataMoments;
use tch::{Device, Kind, Tensor};

fn small(path: &Path) -> Result<()> {
    let network = UNetConfig {
        size: 8,
        widths: vec![8, 16],
        embedding: 16,
        groups: 4,
        classes: 3,
        decoder_blocks: 1,
        ..UNetConfig::default()
    };
    let layout = layout_of(&network)?;
    let mut flat = Flat::initialized(&layout, 3, Device::Cpu)?;
    // Some parameters start at zero, which would hide what they do.
    let _ = flat.tensor_mut().f_add_scalar_(0.02)?;
    let moments = DataMoments { log_mean: 0.1, log_sd: 0.2 };
    let header = Header::new(network, Head::Preconditioned, moments);
    checkpoint::save(path, &header, &layout, Parts { ema: &flat, training: None })
}

/// The output for two images `x = 2 sin(0.37 k)` at `ln r` of −1.5 and 0.5, of class 1 and of any.
fn run(path: &Path) -> Result<Vec<f64>> {
    let loaded = checkpoint::load(path, Device::Cpu)?;
    let net = UNet::new(loaded.header.network)?;
    let c = net.config();
    let weights = loaded.ema.weights(net.layout(), Kind::Float, Gradient::Unwanted)?;
    let numbers = Tensor::f_arange(2 * c.channels * c.size * c.size, (Kind::Double, Device::Cpu))?;
    let x = numbers.f_mul_scalar(0.37)?.f_sin()?.f_mul_scalar(2.0)?.f_to_kind(Kind::Float)?;
    let x = x.f_view([2, c.channels, c.size, c.size])?;
    let level = Tensor::f_from_slice(&[-1.5_f32, 0.5])?;
    let classes = (c.classes > 0).then(|| Tensor::from_slice(&[1, c.classes]));
    let out = net.forward(&weights, &x, &level, classes.as_ref(), false)?;
    Ok(Vec::<f64>::try_from(&out.f_reshape([-1])?.f_to_kind(Kind::Double)?)?)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["small", path] => small(Path::new(path))?,
        ["run", path] => println!("{}", serde_json::to_string(&run(Path::new(path))?)?),
        _ => return Err("unet_output small FILE | unet_output run FILE".into()),
    }
    Ok(())
}
