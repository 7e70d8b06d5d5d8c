//! Against numpy and scipy on the same features: `oracle/make_oracle.py` recorded them.

use metrics::{Moments, fid, kid_exact};
use ndarray::Array2;
use serde_json::Value;

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).expect("a matrix");
    let columns = rows[0].len();
    Array2::from_shape_vec((rows.len(), columns), rows.concat()).expect("rows of one length")
}

#[test]
fn agrees_with_scipy() {
    let oracle: Value = serde_json::from_str(include_str!("oracle/oracle.json")).unwrap();
    let cases = oracle["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let sample = matrix(&case["sample"]).mapv(|v| v as f32);
        let reference = matrix(&case["reference"]).mapv(|v| v as f32);
        let relative = |ours: f64, theirs: &Value| {
            let theirs = theirs.as_f64().unwrap();
            ((ours - theirs) / theirs).abs()
        };
        let ours = fid(sample.view(), reference.view()).unwrap();
        assert!(relative(ours.distance, &case["frechet"]) < 1e-6, "{}: {ours:?}", case["name"]);
        let ours = kid_exact(sample.view(), reference.view()).unwrap();
        assert!(relative(ours, &case["kid"]) < 1e-9, "{}: {ours}", case["name"]);

        let moments = Moments::from_features(sample.view()).unwrap();
        for (a, b) in moments.cov().iter().zip(&matrix(&case["cov"])) {
            assert!((a - b).abs() < 1e-13, "{}: {a} {b}", case["name"]);
        }
    }
}
