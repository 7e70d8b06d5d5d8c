//! What a network is made of: every layer with its shapes, parameters and operations.

use tch::{Device, Kind, Tensor, no_grad};

use crate::Result;
use crate::params::{Flat, Gradient};
use crate::probe::Seen;
use crate::unet::UNet;

/// A network's layers in the order of the computation, for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The layers.
    pub layers: Vec<Seen>,
    /// Parameters of all of them.
    pub parameters: i64,
    /// Multiplications and additions of a forward pass of one image, attention's products included.
    pub flops: i64,
}

/// Runs the network once on one image, and watches.
///
/// # Errors
/// If libtorch refuses.
pub fn summarize(net: &UNet) -> Result<Summary> {
    let c = net.config();
    let layout = net.layout();
    let flat = Flat::initialized(layout, 0, Device::Cpu)?;
    let mut weights = flat.weights(layout, Kind::Float, Gradient::Unwanted)?;
    weights.watch(layout);
    let image = Tensor::f_zeros([1, c.channels, c.size, c.size], (Kind::Float, Device::Cpu))?;
    let level = Tensor::f_zeros([1], (Kind::Float, Device::Cpu))?;
    let _ = no_grad(|| net.forward(&weights, &image, &level, None, false))?;
    let layers = weights.unwatch();
    // Attention over L positions of C channels: two products of L × L × C.
    let attention: i64 = layers
        .iter()
        .filter(|seen| seen.layer.ends_with(".qkv"))
        .map(|seen| {
            let positions: i64 = seen.output[2..].iter().product();
            4 * positions * positions * seen.output[1] / 3
        })
        .sum();
    let flops = layers.iter().map(|seen| seen.flops).sum::<i64>() + attention;
    Ok(Summary { layers, parameters: layout.total(), flops })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNetConfig;

    #[test]
    fn every_parameter_is_counted_once_and_operations_are_those_of_the_layers() {
        let config = UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() };
        let net = UNet::new(UNetConfig { classes: 4, ..config }).unwrap();
        let summary = summarize(&net).unwrap();
        assert_eq!(summary.layers.iter().map(|l| l.parameters).sum::<i64>(), net.layout().total());
        let stem = summary.layers.iter().find(|l| l.layer == "stem").unwrap();
        assert_eq!((stem.output.as_slice(), stem.parameters), ([1, 8, 4, 4].as_slice(), 4 * 9 * 8 + 8));
        assert_eq!(stem.flops, 2 * 4 * 9 * 8 * 16);
        assert_eq!(summary.layers.iter().find(|l| l.layer == "classes").unwrap().flops, 0);
        assert!(summary.flops > summary.layers.iter().map(|l| l.flops).sum());
    }
}
