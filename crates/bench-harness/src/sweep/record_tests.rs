use metrics::Fingerprint;

use super::*;

pub(crate) fn finished(settings: &[(&str, &str)], seed: u64, cnn_fid: f64) -> Record {
    let fingerprint = Fingerprint {
        extractor: "mnist-cnn".into(),
        extractor_sha256: "0123".into(),
        resize: "none".into(),
        channels: "grey".into(),
        n_samples: 8,
        n_reference: 100,
        reference_split: "glyphs/test".into(),
        dtype: "f32".into(),
        library_version: "0.1.0".into(),
    };
    let score = Score {
        name: "samples".into(),
        n: 8,
        cnn_fid,
        cnn_fid_sd: 0.5,
        kid: 0.25,
        kid_sd: 0.125,
        calls: Some(20),
        seconds_per_image: Some(0.5),
        fingerprint,
    };
    let outcome = Outcome {
        score,
        diverged: 0,
        training_seconds: 3.0,
        sampling_seconds: 4.0,
        other_seconds: 1.0,
        peak_memory: Some(1 << 20),
        folder: "runs/tiny/cpu-0123".into(),
        by: None,
    };
    record(settings, seed, Status::Ok(Box::new(outcome)))
}

pub(in crate::sweep) fn failed(settings: &[(&str, &str)], seed: u64, error: &str) -> Record {
    record(settings, seed, Status::Failed { error: error.into() })
}

fn record(settings: &[(&str, &str)], seed: u64, status: Status) -> Record {
    let settings: Map<String, Value> = settings.iter().map(|(axis, label)| ((*axis).into(), (*label).into())).collect();
    Record { key: format!("{settings:?} {seed}"), settings, set: Vec::new(), seed, seconds: 9.0, status }
}

#[test]
fn what_was_appended_comes_back_from_all_shards() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&folder.path().join("none")).unwrap(), Vec::new());
    let (a, b) = (finished(&[("w", "edm")], 1, 2.5), failed(&[("w", "paper")], 1, "a, \"b\"\nc"));
    Journal::open(folder.path(), None).unwrap().append(&a).unwrap();
    let mut shard = Journal::open(folder.path(), Some(Shard { index: 2, count: 3 })).unwrap();
    shard.append(&b).unwrap();
    let error = Journal::open(folder.path(), Some(Shard { index: 2, count: 3 })).unwrap_err().to_string();
    assert!(error.contains("another dale") && error.contains("cells-2-of-3.jsonl"), "{error}");
    let mut found = read(folder.path()).unwrap();
    found.sort_by_key(|record| record.outcome().is_none());
    assert_eq!(found, [a, b]);
}

#[test]
fn a_success_replaces_a_failure_and_never_the_other_way() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (failed(&[], 1, "no"), finished(&[], 1, 2.0));
    let mut journal = Journal::open(folder.path(), None).unwrap();
    for record in [&bad, &good, &bad] {
        journal.append(record).unwrap();
    }
    assert_eq!(read(folder.path()).unwrap(), [good]);
}

#[test]
fn a_line_that_was_cut_off_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (finished(&[], 1, 1.0), finished(&[], 2, 2.0));
    Journal::open(folder.path(), None).unwrap().append(&a).unwrap();
    let path = folder.path().join("cells.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes[..bytes.len() / 2].to_vec();
    bytes.extend(half);
    fs::write(&path, bytes).unwrap();
    Journal::open(folder.path(), None).unwrap().append(&b).unwrap();
    assert_eq!(read(folder.path()).unwrap(), [a, b]);
}

#[test]
fn numbers_of_two_protocols_are_refused_by_field() {
    let (a, mut b) = (finished(&[("w", "edm")], 1, 1.0), finished(&[("w", "paper")], 1, 2.0));
    one_protocol([&a, &b, &failed(&[], 3, "x")]).unwrap();
    if let Status::Ok(outcome) = &mut b.status {
        outcome.score.fingerprint.n_samples = 9;
    }
    let error = format!("{:#}", one_protocol([&a, &b]).unwrap_err());
    assert!(error.contains("n_samples") && error.contains("w = paper") && error.contains("8 against 9"), "{error}");
}
