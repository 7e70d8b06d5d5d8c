use super::super::record::Status;
use super::super::record::tests::{failed, finished};
use super::*;

#[test]
fn common_cells_are_paired_by_setting_and_seed() {
    let a = [
        finished(&[("w", "edm"), ("s", "heun")], 1, 10.0),
        finished(&[("w", "edm"), ("s", "heun")], 2, 12.0),
        finished(&[("w", "paper"), ("s", "heun")], 1, 20.0),
        finished(&[("w", "only in A"), ("s", "heun")], 1, 0.0),
    ];
    let b = [
        finished(&[("s", "heun"), ("w", "edm")], 2, 13.0),
        finished(&[("s", "heun"), ("w", "edm")], 1, 11.0),
        finished(&[("w", "paper"), ("s", "heun")], 1, 18.0),
        failed(&[("w", "only in A"), ("s", "heun")], 1, "no"),
    ];
    let found = pairs(&a, &b).unwrap();
    assert_eq!(found.len(), 2);
    // Both seeds differ by 1: no scatter of the difference, whatever that of the seeds.
    let (mean, low, high) = (found[0].difference.mean, found[0].difference.low, found[0].difference.high);
    assert_eq!((found[0].a, found[0].b, mean, low, high), (11.0, 12.0, 1.0, 1.0, 1.0));
    // One seed: 1.96 √(0.5² + 0.5²).
    let half = 1.96 * 0.5_f64.sqrt();
    assert!((found[1].difference.high - (-2.0 + half)).abs() < 1e-12 && found[1].difference.n == 1);
}

#[test]
fn other_protocols_and_nothing_in_common_are_refused() {
    let (a, mut b) = (finished(&[("w", "edm")], 1, 1.0), finished(&[("w", "edm")], 1, 2.0));
    if let Status::Ok(outcome) = &mut b.status {
        outcome.score.fingerprint.reference_split = "mnist/test".into();
    }
    let error = format!("{:#}", pairs(std::slice::from_ref(&a), &[b]).unwrap_err());
    assert!(error.contains("reference_split") && error.contains("mnist/test"), "{error}");
    let other = finished(&[("w", "paper")], 1, 2.0);
    assert!(pairs(&[a], &[other]).unwrap_err().to_string().contains("share no finished cells"));
}
