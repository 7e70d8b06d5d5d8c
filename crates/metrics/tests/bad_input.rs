//! Every metric of two feature matrices names what is wrong with them.

mod common;

use common::normal;
use metrics::{
    BootstrapOptions, InfiniteOptions, KidOptions, MemorizationOptions, MetricsError, PrdcOptions, Resampling, Set,
    SlicedOptions, bootstrap_fid, fid, fid_infinity, kid_bootstrap, kid_exact, kid_subsets, memorization, nearest,
    prdc, sliced_wasserstein,
};
use ndarray::{Array2, ArrayView2};

type Metric = fn(ArrayView2<'_, f32>, ArrayView2<'_, f32>) -> Result<(), MetricsError>;

/// Metrics that need two rows on both sides.
const OF_DISTRIBUTIONS: [(&str, Metric); 7] = [
    ("fid", |a, b| fid(a, b).map(drop)),
    ("bootstrap_fid", |a, b| bootstrap_fid(a, b, &BootstrapOptions::default()).map(drop)),
    ("fid_infinity", |a, b| {
        fid_infinity(a, b, &InfiniteOptions { smallest: 20, sizes: 3, ..InfiniteOptions::default() }).map(drop)
    }),
    ("kid_exact", |a, b| kid_exact(a, b).map(drop)),
    ("kid_subsets", |a, b| kid_subsets(a, b, &KidOptions { subsets: 2, size: 10, seed: 0 }).map(drop)),
    ("kid_bootstrap", |a, b| kid_bootstrap(a, b, &Resampling::default()).map(drop)),
    ("prdc", |a, b| prdc(a, b, &PrdcOptions::default()).map(drop)),
];

/// Metrics that one row is enough for, at least as a sample.
const OF_ROWS: [(&str, Metric); 3] = [
    ("sliced_wasserstein", |a, b| sliced_wasserstein(a, b, &SlicedOptions::default()).map(drop)),
    ("memorization", |a, b| memorization(a, b, &MemorizationOptions::default()).map(drop)),
    ("nearest", |a, b| nearest(a, b, 1).map(drop)),
];

fn all() -> impl Iterator<Item = (&'static str, Metric)> {
    OF_DISTRIBUTIONS.into_iter().chain(OF_ROWS)
}

#[test]
fn good_input_is_taken() {
    let (a, b) = (normal(60, 3, 1), normal(50, 3, 2));
    for (name, metric) in all() {
        assert_eq!(metric(a.view(), b.view()), Ok(()), "{name}");
    }
}

#[test]
fn values_that_are_not_finite_are_named_with_side_row_and_column() {
    let good = normal(60, 3, 1);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad[(17, 2)] = value;
        for (name, metric) in all() {
            for (set, found) in
                [(Set::Sample, metric(bad.view(), good.view())), (Set::Reference, metric(good.view(), bad.view()))]
            {
                let error = found.unwrap_err();
                assert_eq!(error.to_string(), format!("the {set} feature at row 17, column 2 is {value}"), "{name}");
            }
        }
    }
}

#[test]
fn one_row_is_too_few_for_a_distribution() {
    let (one, good) = (normal(1, 3, 1), normal(60, 3, 2));
    for (name, metric) in OF_DISTRIBUTIONS {
        for (set, found) in
            [(Set::Sample, metric(one.view(), good.view())), (Set::Reference, metric(good.view(), one.view()))]
        {
            assert_eq!(found, Err(MetricsError::TooFewRows { set, rows: 1 }), "{name}");
        }
    }
    for (name, metric) in OF_ROWS {
        assert_eq!(metric(one.view(), good.view()), Ok(()), "{name}");
    }
}

#[test]
fn sides_of_different_width_are_refused() {
    let (narrow, wide) = (normal(60, 3, 1), normal(60, 4, 2));
    for (name, metric) in all() {
        let expected = Err(MetricsError::DimensionMismatch { sample: 3, reference: 4 });
        assert_eq!(metric(narrow.view(), wide.view()), expected, "{name}");
        let expected = Err(MetricsError::DimensionMismatch { sample: 4, reference: 3 });
        assert_eq!(metric(wide.view(), narrow.view()), expected, "{name}");
    }
}

#[test]
fn empty_sides_are_refused() {
    let (good, no_columns, no_rows) = (normal(60, 3, 1), Array2::zeros((60, 0)), Array2::zeros((0, 3)));
    for (name, metric) in all() {
        let found = metric(no_columns.view(), no_columns.view());
        assert_eq!(found, Err(MetricsError::NoColumns { set: Set::Sample }), "{name}");
        let found = metric(no_rows.view(), good.view());
        assert!(
            matches!(
                found,
                Err(MetricsError::NoRows { set: Set::Sample } | MetricsError::TooFewRows { set: Set::Sample, rows: 0 })
            ),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn no_more_rows_than_features_are_a_warning_that_names_both() {
    let many = normal(40, 30, 1);
    for rows in [2, 29, 30] {
        let few = normal(rows, 30, 2);
        let found = fid(many.view(), few.view()).unwrap();
        assert!(found.distance.is_finite());
        let warning = found.reference.warning().expect("no more rows than features");
        assert!(warning.to_string().starts_with(&format!("{rows} rows for 30 features: ")), "{warning}");
        assert_eq!(found.sample.warning(), None);
    }
    assert_eq!(fid(many.view(), normal(31, 30, 2).view()).unwrap().reference.warning(), None);
}
