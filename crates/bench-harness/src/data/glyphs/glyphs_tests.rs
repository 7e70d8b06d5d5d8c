//! `glyphs` is deterministic, balanced, inked like MNIST, and its classes can be told apart.

use super::super::digest::sha256_hex;
use super::*;

#[test]
fn the_first_hundred_images_are_pinned() {
    let set = generate_split(0, Split::Train, 100);
    let sum = sha256_hex(set.images.as_slice().unwrap());
    assert_eq!(
        sum, "0ec4814ac3cdf7886175b0b674b3fb62ddc7f0352811890fd2c409a82a8812fb",
        "the images changed: raise GENERATOR's version"
    );
}

#[test]
fn images_do_not_depend_on_threads_or_on_how_many_are_drawn() {
    let draw = |threads: usize, n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate_split(7, Split::Test, n))
    };
    let (one, five) = (draw(1, 40), draw(5, 90));
    let (images, labels) = five.slice(0..40);
    assert!(one.images == images && one.labels == labels);
    assert!(generate_one(7, Split::Test, 33) == one.images.index_axis(Axis(0), 33));
    assert!(one.images != generate_split(7, Split::Train, 40).images);
    assert!(one.images != generate_split(8, Split::Test, 40).images);
}

#[test]
fn labels_are_balanced_and_shuffled() {
    let set = generate_split(1, Split::Train, 200);
    assert_eq!(set.label_counts(), [20; 10]);
    assert_ne!(set.labels[..10], set.labels[10..20]);
    let part = generate_split(1, Split::Train, 13);
    assert_eq!(part.labels, set.labels[..13]);
}

#[test]
fn no_image_is_empty_clipped_or_a_copy() {
    let set = generate_split(2, Split::Train, 1000);
    let mut touching = 0;
    let mut seen = std::collections::HashSet::new();
    for image in set.images.outer_iter() {
        let ink = image.iter().map(|&u| f64::from(u) / 255.0).sum::<f64>() / 784.0;
        assert!((0.02..0.4).contains(&ink), "{ink}");
        let border = [image.row(0), image.row(27), image.column(0), image.column(27)];
        touching += usize::from(border.iter().any(|line| line.iter().any(|&u| u > 0)));
        assert!(seen.insert(image.iter().copied().collect::<Vec<_>>()));
    }
    // 1.4% of MNIST's images have ink in the outermost pixels.
    assert!(touching < 20, "{touching} of 1000");
}

/// Mean of `u`, mean and standard deviation of `ln(1 + u)` over all pixels.
fn ink_statistics(set: &ImageSet) -> (f64, f64, f64) {
    let n = set.images.len() as f64;
    let u = |&b: &u8| f64::from(b) / 255.0;
    let logs = || set.images.iter().map(|b| u(b).ln_1p());
    let mean = set.images.iter().map(u).sum::<f64>() / n;
    let log_mean = logs().sum::<f64>() / n;
    let log_var = logs().map(|y| (y - log_mean) * (y - log_mean)).sum::<f64>() / n;
    (mean, log_mean, log_var.sqrt())
}

#[test]
fn ink_is_close_to_mnists() {
    // MNIST's training set: mean of u 0.1307, mean and sd of ln(1 + u) 0.095 and 0.219.
    let (mean, log_mean, log_sd) = ink_statistics(&generate_split(3, Split::Train, 4000));
    for (found, mnist) in [(mean, 0.1307), (log_mean, 0.095), (log_sd, 0.219)] {
        assert!((found / mnist - 1.0).abs() < 0.1, "{mean} {log_mean} {log_sd}");
    }
}

#[test]
fn classes_can_be_told_apart_but_not_by_their_means_alone() {
    let (train, test) = (generate_split(5, Split::Train, 2000), generate_split(5, Split::Test, 500));
    let flat = |set: &ImageSet| -> Vec<Vec<f32>> {
        set.images.outer_iter().map(|i| i.iter().map(|&u| f32::from(u) / 255.0).collect()).collect()
    };
    let (known, asked) = (flat(&train), flat(&test));
    let mut means = vec![vec![0.0; 784]; 10];
    for (image, &label) in known.iter().zip(&train.labels) {
        for (m, u) in means[usize::from(label)].iter_mut().zip(image) {
            *m += u / 200.0;
        }
    }
    let nearest = |image: &[f32], among: &[Vec<f32>]| -> usize {
        let distance = |other: &[f32]| image.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let by = |a: &usize, b: &usize| distance(&among[*a]).total_cmp(&distance(&among[*b]));
        (0..among.len()).min_by(by).unwrap()
    };
    let (mut by_neighbour, mut by_mean) = (0, 0);
    for (image, &label) in asked.iter().zip(&test.labels) {
        by_neighbour += usize::from(train.labels[nearest(image, &known)] == label);
        by_mean += usize::from(nearest(image, &means) == usize::from(label));
    }
    // MNIST with the same sizes gives 431 and 375 of 500.
    assert!(by_neighbour > 450, "{by_neighbour} of 500");
    assert!((300..475).contains(&by_mean), "{by_mean} of 500");
}
