use super::super::record::tests::{failed, finished};
use super::*;

#[test]
fn intervals_are_students() {
    // x̄ = 2, s = 1, n = 3: 2 ± 4.303/√3.
    let found = Mean::of(&[1.0, 2.0, 3.0], 9.0).unwrap();
    let half = 4.303 / 3.0_f64.sqrt();
    assert!((found.mean - 2.0).abs() < 1e-12 && (found.high - 2.0 - half).abs() < 1e-12, "{found:?}");
    let alone = Mean::of(&[5.0], 0.5).unwrap();
    assert!((alone.low - 4.02).abs() < 1e-12 && (alone.high - 5.98).abs() < 1e-12);
    assert_eq!(Mean::of(&[], 1.0), None);
    // From tables: 2.021 at 40, 1.984 at 100 degrees of freedom, 1.960 at infinity.
    for (degrees, quantile) in [(2, 4.303), (30, 2.042), (31, 2.040), (40, 2.021), (100, 1.984), (1_000_000, 1.960)] {
        assert!((student(degrees) - quantile).abs() < 6e-4, "{degrees}");
    }
}

/// On an additive table the means over one axis have exactly its effects.
#[test]
fn main_effects_of_an_additive_table_are_its_terms() {
    let mut records = Vec::new();
    for (a, of_a) in [("p", 1.0), ("q", 4.0)] {
        for (b, of_b) in [("x", -1.0), ("y", 0.0), ("z", 1.0)] {
            for seed in [1, 2] {
                records.push(finished(&[("a", a), ("b", b)], seed, 10.0 + of_a + of_b));
            }
        }
    }
    records.push(failed(&[("a", "p"), ("b", "w")], 1, "no"));
    let finished: Vec<&Record> = records.iter().filter(|r| r.outcome().is_some()).collect();
    let axes = varied(&finished, &["a".into(), "b".into(), "none".into()]);
    assert_eq!(axes, ["a", "b"]);
    let effects = main_effects(&finished, &axes);
    let means: Vec<(&str, f64, usize)> = effects.iter().map(|e| (e.label.as_str(), e.mean.mean, e.mean.n)).collect();
    assert_eq!(means, [("p", 11.0, 6), ("q", 14.0, 6), ("x", 11.5, 4), ("y", 12.5, 4), ("z", 13.5, 4)]);
    assert_eq!(settings(&finished).len(), 6);
}

/// Where a value comes with others than its neighbour does, the difference of their means is not its effect.
#[test]
fn an_unbalanced_axis_has_no_main_effect() {
    let mut records = vec![
        finished(&[("a", "p"), ("b", "x")], 1, 90.0),
        finished(&[("a", "p"), ("b", "y")], 1, 180.0),
        finished(&[("a", "q"), ("b", "x")], 1, 88.0),
    ];
    let axes = ["a".to_owned(), "b".to_owned()];
    assert!(main_effects(&records.iter().collect::<Vec<_>>(), &axes).is_empty());
    records.push(finished(&[("b", "y"), ("a", "q")], 1, 178.0));
    assert_eq!(main_effects(&records.iter().collect::<Vec<_>>(), &axes).len(), 4);
    // Another seed in one place.
    records.push(finished(&[("a", "q"), ("b", "y")], 2, 178.0));
    assert!(main_effects(&records.iter().collect::<Vec<_>>(), &axes).is_empty());
    // An axis that some cells have alone, within them.
    let nested = [
        finished(&[("s", "heun")], 1, 5.0),
        finished(&[("s", "noisy"), ("churn", "0")], 1, 6.0),
        finished(&[("s", "noisy"), ("churn", "8")], 1, 4.0),
    ];
    let found = main_effects(&nested.iter().collect::<Vec<_>>(), &["s".to_owned(), "churn".to_owned()]);
    assert_eq!(found.iter().map(|e| (e.label.as_str(), e.mean.mean)).collect::<Vec<_>>(), [("0", 6.0), ("8", 4.0)]);
}

#[test]
fn the_front_has_what_nothing_beats() {
    let setting = |calls: f64, mean: f64| Setting {
        settings: Vec::new(),
        first: String::new(),
        quality: Mean { n: 1, mean, low: mean, high: mean, sd: 0.0 },
        kid: Mean { n: 1, mean, low: mean, high: mean, sd: 0.0 },
        images: 2,
        training: 1.0,
        calls,
        seconds: f64::NAN,
    };
    let all = [setting(10.0, 5.0), setting(20.0, 6.0), setting(20.0, 3.0), setting(5.0, 9.0), setting(40.0, 3.0)];
    assert_eq!(front(&all, |s| s.calls), [3, 0, 2]);
    assert!(front(&all, |s| s.seconds).is_empty());
}
