//! `dale model show`: a network, layer by layer.

use std::path::Path;

use anyhow::Result;
use models::checkpoint;
use models::unet::summary::{Summary, summarize};
use models::unet::{PRESETS, UNet, UNetConfig};
use serde_json::json;

use crate::run::stored_experiment;

/// Prints the layers of what `of` names: a size, a weights file, a run's folder, or else what `experiment` resolves it to.
///
/// # Errors
/// If it cannot be found, read or built.
pub fn show(of: &str, experiment: impl FnOnce() -> Result<UNetConfig>, json: bool) -> Result<()> {
    let path = Path::new(of);
    let config = if PRESETS.contains(&of) || of.starts_with("unet-") {
        UNetConfig::preset(of)?
    } else if path.is_file() && path.extension().is_some_and(|ending| ending == "safetensors") {
        checkpoint::load_header(path)?.network
    } else if path.join("config.toml").is_file() {
        stored_experiment(path)?.network
    } else {
        experiment()?
    };
    let net = UNet::new(config)?;
    let summary = summarize(&net)?;
    if json {
        let layers: Vec<_> = summary
            .layers
            .iter()
            .map(|l| {
                json!({ "layer": l.layer, "input": l.input, "output": l.output, "parameters": l.parameters, "flops": l.flops })
            })
            .collect();
        let whole = json!({
            "network": net.config(), "parameters": summary.parameters, "flops": summary.flops, "layers": layers,
        });
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        print!("{}", tree(&summary));
    }
    Ok(())
}

/// The layers as a tree: a heading for each part of a dotted name, indented by its depth.
fn tree(summary: &Summary) -> String {
    let mut out = format!("{:<34} {:>16} {:>12} {:>10}\n", "layer", "output", "parameters", "MFLOPs");
    let mut open: Vec<&str> = Vec::new();
    for layer in &summary.layers {
        let mut parts: Vec<&str> = layer.layer.split('.').collect();
        let leaf = parts.pop().unwrap_or_default();
        let shared = open.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        for (depth, part) in parts.iter().enumerate().skip(shared) {
            out += &format!("{}{part}\n", "  ".repeat(depth));
        }
        let name = format!("{}{leaf}", "  ".repeat(parts.len()));
        let shape = layer.output[1..].iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        let flops = layer.flops as f64 / 1e6;
        out += &format!("{name:<34} {shape:>16} {:>12} {flops:>10.3}\n", layer.parameters);
        open = parts;
    }
    let (parameters, flops) = (summary.parameters, summary.flops as f64 / 1e6);
    out + &format!("{:<34} {:>16} {parameters:>12} {flops:>10.3}\n", "total, with attention's products", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_every_layer_below_its_parts() {
        let config = UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() };
        let summary = summarize(&UNet::new(config).unwrap()).unwrap();
        let text = tree(&summary);
        assert!(text.contains("\ndown\n  0\n    0\n      norm1"), "{text}");
        assert_eq!(text.lines().filter(|l| l.split_whitespace().count() > 3).count(), summary.layers.len() + 2);
    }
}
